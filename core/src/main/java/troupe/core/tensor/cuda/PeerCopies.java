package troupe.core.tensor.cuda;

import troupe.core.tensor.Device.Fence;
import troupe.core.tensor.cuda.driver.Driver;

/**
 * Copies from other GPUs of this process, in a stream of their own beside the work. Neither side
 * waits on the host: the copy waits for what computes its source, and whatever first touches the
 * copy ({@link Block#address}) waits for that.
 */
final class PeerCopies implements AutoCloseable {
  /**
   * Events in turn. Who waits for one that was recorded anew meanwhile waits a little longer; there
   * are far more than batches under way in a step.
   */
  private static final int EVENTS = 1 << 16;

  private final Gpu gpu;
  private final Driver driver;
  private final Resources resources = new Resources();
  private final long[] events = new long[EVENTS];
  private int next;

  PeerCopies(Gpu gpu) {
    this.gpu = gpu;
    this.driver = gpu.driver();
  }

  /** A point in the work of a GPU. */
  record Point(long event) implements Fence {}

  /** The point that the work of this GPU has come to. */
  Point point() {
    return new Point(record(gpu.stream()));
  }

  private synchronized long record(long stream) {
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

  /**
   * Queues a copy to memory that was allocated for the copy stream.
   *
   * @param ready may be {@code null}
   * @return the event at which it is done
   */
  long copy(long to, Gpu source, long from, long bytes, Fence ready) {
    gpu.enter();
    if (ready instanceof Point point) {
      driver.waitFor(gpu.copyStream(), point.event());
    }
    if (bytes > 0) {
      driver.copyPeer(to, gpu.context(), from, source.context(), bytes, gpu.copyStream());
    }
    return record(gpu.copyStream());
  }

  @Override
  public void close() {
    gpu.enter();
    resources.close();
  }
}
