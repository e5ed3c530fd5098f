package troupe.core.tensor.cuda;

import troupe.core.tensor.Device.Fence;
import troupe.core.tensor.cuda.driver.Driver;

/**
 * Copies from other GPUs of this process, in a stream of their own beside the work. Neither side
 * waits on the host: the copy waits for what computes its source, and whatever first touches the
 * copy ({@link Block#address}) waits for that.
 */
final class PeerCopies implements AutoCloseable {
  private final Gpu gpu;
  private final Driver driver;
  private final EventRing events;

  PeerCopies(Gpu gpu) {
    this.gpu = gpu;
    this.driver = gpu.driver();
    this.events = new EventRing(gpu);
  }

  /** A point in the work of a GPU. */
  record Point(long event) implements Fence {}

  /** The point that the work of this GPU has come to. */
  Point point() {
    return new Point(events.record(gpu.stream()));
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
    return events.record(gpu.copyStream());
  }

  @Override
  public void close() {
    events.close();
  }
}
