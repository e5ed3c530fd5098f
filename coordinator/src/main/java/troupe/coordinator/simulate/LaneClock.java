package troupe.coordinator.simulate;

import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;

/**
 * How long the calling thread has computed: time in which another process had the core does not
 * count, so that a measurement tells of the machine rather than of who else is on it.
 */
final class LaneClock {
  private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

  private LaneClock() {}

  static long nanos() {
    return THREADS.isCurrentThreadCpuTimeSupported()
        ? THREADS.getCurrentThreadCpuTime()
        : System.nanoTime();
  }
}
