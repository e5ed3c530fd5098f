package troupe.core.tensor;

import java.lang.foreign.MemorySegment;

/**
 * Elements of a tensor in memory that a device lends, on their way from or to it: memory of the
 * host, or on a shelf of the device itself. Not for several threads at once.
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

  /**
   * Where a device of another process of this machine finds the elements, for its {@link
   * Device#pickUp}, until this is closed; {@code null} if they are in memory of the host.
   */
  default byte[] reference() {
    return null;
  }

  /**
   * Whether {@link #reference} also says when the elements are there, so that whoever picks them up
   * waits for them. Then it may be told before {@link #isDone}.
   */
  default boolean tellsWhenDone() {
    return false;
  }

  /** Gives the memory back, at once or when the device is done with it. May be repeated. */
  @Override
  void close();
}
