package troupe.coordinator.node;

import java.lang.management.ManagementFactory;
import java.lang.management.OperatingSystemMXBean;

/** The memory of this machine, which on a CPU is that of its device. */
final class MachineMemory {
  private MachineMemory() {}

  /** Bytes; 0 if this JVM does not know. */
  static long bytes() {
    OperatingSystemMXBean system = ManagementFactory.getOperatingSystemMXBean();
    return system instanceof com.sun.management.OperatingSystemMXBean machine
        ? machine.getTotalMemorySize()
        : 0;
  }
}
