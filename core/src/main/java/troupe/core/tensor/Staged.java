package troupe.core.tensor;

import java.lang.foreign.MemorySegment;

/**
 * Elements of a tensor in memory of the host that a device lends, on their way from or to it. Not
 * for several threads at once.
 */
public interface Staged extends AutoCloseable {
  /**
   * Whether {@link #bytes} does not wait. Who asks again and again waits for it, too.
   *
   * @throws DeviceException if the device has failed, or takes too long
   */
  boolean isDone();

  /**
   * The elements, native byte order, until this is closed.
   *
   * @throws DeviceException as {@link #isDone}
   */
  MemorySegment bytes();

  /** Gives the memory back, at once or when the device is done with it. May be repeated. */
  @Override
  void close();
}
