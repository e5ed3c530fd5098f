package troupe.core.tensor.cuda.driver;

/** A call into one of NVIDIA's libraries that failed. */
public final class CudaException extends RuntimeException {
  private static final long serialVersionUID = 1;

  /** The driver's code for memory that is used up. */
  public static final int OUT_OF_MEMORY = 2;

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
}
