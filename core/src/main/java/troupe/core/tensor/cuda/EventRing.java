package troupe.core.tensor.cuda;

import troupe.core.tensor.cuda.driver.Driver;

/**
 * Events in turn. Who waits for one that was recorded anew meanwhile waits a little longer; there
 * are far more than batches under way in a step.
 */
final class EventRing implements AutoCloseable {
  private static final int EVENTS = 1 << 16;

  private final Gpu gpu;
  private final Driver driver;
  private final Resources resources = new Resources();
  private final long[] events = new long[EVENTS];
  private int next;

  EventRing(Gpu gpu) {
    this.gpu = gpu;
    this.driver = gpu.driver();
  }

  /** The next event, at what a stream has come to. */
  synchronized long record(long stream) {
    gpu.enter();
    int at = next;
    next = (next + 1) % EVENTS;
    if (events[at] == 0) {
      long event = driver.createEvent(false);
      resources.onClose(() -> driver.destroyEvent(event));
      events[at] = event;
    }
    driver.record(events[at], stream);
    return events[at];
  }

  @Override
  public void close() {
    gpu.enter();
    resources.close();
  }
}
