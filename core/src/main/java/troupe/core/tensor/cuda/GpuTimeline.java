package troupe.core.tensor.cuda;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import troupe.core.tensor.KernelProfiler;
import troupe.core.tensor.cuda.driver.Driver;

/** Times everything in the stream of a GPU by events before and after each piece of work. */
final class GpuTimeline implements KernelProfiler {
  private final Gpu gpu;
  private final Driver driver;
  private final List<Long> events = new ArrayList<>();
  private final List<String> names = new ArrayList<>();
  private volatile boolean on;
  private int used;

  GpuTimeline(Gpu gpu) {
    this.gpu = gpu;
    this.driver = gpu.driver();
  }

  /** Queues work, timed if somebody asked for it. */
  void time(String name, Runnable work) {
    if (!on) {
      work.run();
      return;
    }
    synchronized (this) {
      mark();
      work.run();
      mark();
      names.add(name);
    }
  }

  private void mark() {
    if (used == events.size()) {
      events.add(driver.createEvent(true));
    }
    driver.record(events.get(used++), gpu.stream());
  }

  @Override
  public synchronized void begin() {
    gpu.enter();
    names.clear();
    used = 0;
    on = true;
  }

  @Override
  public synchronized Map<String, Long> end() {
    on = false;
    gpu.synchronize();
    Map<String, Long> nanos = new TreeMap<>();
    for (int i = 0; i < names.size(); i++) {
      add(nanos, names.get(i), 2 * i);
      if (i > 0) {
        add(nanos, IDLE + " before " + names.get(i), 2 * i - 1);
      }
    }
    return nanos;
  }

  private void add(Map<String, Long> nanos, String name, int event) {
    float millis = driver.millisBetween(events.get(event), events.get(event + 1));
    nanos.merge(name, (long) (millis * 1e6), Long::sum);
  }

  void close() {
    gpu.enter();
    events.forEach(driver::destroyEvent);
  }
}
