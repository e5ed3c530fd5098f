package troupe.core.tensor.cuda.driver;

import java.util.Set;
import troupe.core.tensor.DeviceException;

/** A call into one of NVIDIA's libraries that failed. */
public final class CudaException extends DeviceException {
  private static final long serialVersionUID = 1;

  /** The driver's code for memory that is used up. */
  public static final int OUT_OF_MEMORY = 2;

  /**
   * The driver's codes where the system lets it pin no more memory of the host: the memory is used
   * up, the system's call failed, it is not permitted, or not supported.
   */
  private static final Set<Integer> NOT_PINNED = Set.of(OUT_OF_MEMORY, 304, 800, 801);

  /** The driver's code for a kernel that did not end in time, which is ours too. */
  public static final int TIMED_OUT = 702;

  /**
   * Codes after which a context runs nothing any more: illegal address, launch timeout, assertion,
   * and what the hardware raises (cuda.h).
   */
  private static final Set<Integer> STICKY =
      Set.of(700, TIMED_OUT, 710, 714, 715, 716, 717, 718, 719);

  private final int code;

  /**
   * A failure.
   *
   * @param code the library's own
   */
  public CudaException(String message, int code) {
    super(message);
    this.code = code;
  }

  /** The code that the library returned. */
  public int code() {
    return code;
  }

  /** Whether the context of the failed call is lost: nothing runs in it any more. */
  @Override
  public boolean isLost() {
    return STICKY.contains(code);
  }

  /** Whether a call that pins memory of the host failed for want of it. */
  public boolean isNotPinned() {
    return NOT_PINNED.contains(code);
  }

  /** The same failure with other advice. */
  public CudaException withHint(String hint) {
    return new CudaException(message(line(), hint), code);
  }
}
