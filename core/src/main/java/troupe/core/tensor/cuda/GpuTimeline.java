package troupe.core.tensor.cuda;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import troupe.core.tensor.KernelProfiler;
import troupe.core.tensor.cuda.driver.Driver;

/** Times everything in the stream of a GPU by events before and after each piece of work. */
final class GpuTimeline implements KernelProfiler {
  private static final Logger LOG = LoggerFactory.getLogger(GpuTimeline.class);

  private final Gpu gpu;
  private final Driver driver;
  private final Resources resources = new Resources();
  private final List<Long> events = new ArrayList<>();
  private final List<String> names = new ArrayList<>();
  private volatile boolean on;
  private int used;

  GpuTimeline(Gpu gpu) {
    this.gpu = gpu;
    this.driver = gpu.driver();
  }

  /** Queues work in a stream, timed if somebody asked for it. */
  void time(String name, long stream, Runnable work) {
    if (!on) {
      work.run();
      return;
    }
    synchronized (this) {
      mark(stream);
      work.run();
      mark(stream);
      names.add(name);
    }
  }

  private void mark(long stream) {
    if (used == events.size()) {
      long event = driver.createEvent(true);
      resources.onClose(() -> driver.destroyEvent(event));
      events.add(event);
    }
    driver.record(events.get(used++), stream);
  }

  @Override
  public void begin() {
    gpu.enter();
    // One after the other, or times would overlap.
    gpu.lanes().enable(false);
    synchronized (this) {
      names.clear();
      used = 0;
      on = true;
    }
  }

  @Override
  public Map<String, Long> end() {
    gpu.stream(); // with all that was put off
    on = false;
    gpu.lanes().enable(true);
    gpu.synchronize();
    return times();
  }

  private synchronized Map<String, Long> times() {
    Map<String, Long> nanos = new TreeMap<>();
    Map<String, Long> idleBefore = new TreeMap<>();
    for (int i = 0; i < names.size(); i++) {
      nanos.merge(names.get(i), nanosAfter(2 * i), Long::sum);
      if (i > 0) {
        long idle = nanosAfter(2 * i - 1);
        nanos.merge(IDLE, idle, Long::sum);
        idleBefore.merge(names.get(i), idle, Long::sum);
      }
    }
    LOG.debug("idle_ns_before={}", idleBefore);
    return nanos;
  }

  /** Nanoseconds from an event to the next. */
  private long nanosAfter(int event) {
    return (long) (driver.millisBetween(events.get(event), events.get(event + 1)) * 1e6);
  }

  void close() {
    gpu.enter();
    resources.close();
  }
}
