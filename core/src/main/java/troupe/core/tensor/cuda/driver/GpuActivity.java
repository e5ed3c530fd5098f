package troupe.core.tensor.cuda.driver;

/**
 * Something that a GPU did, and when.
 *
 * @param name of the kernel, mangled as the compiler has it; what was copied where
 * @param device number of the GPU in this process, from 0
 * @param stream number of the stream, as CUPTI counts them
 * @param startNs by CUPTI's clock
 * @param endNs by CUPTI's clock
 * @param bytes copied or filled; 0 for a kernel
 */
public record GpuActivity(
    Kind kind, String name, int device, int stream, long startNs, long endNs, long bytes) {
  /** What kind of work it is. */
  public enum Kind {
    /** Code. */
    KERNEL,
    /** Memory is set to a value. */
    FILL,
    /** Within a GPU, or between one and the host. */
    COPY,
    /** From one GPU to another. */
    PEER_COPY;

    /** Whether memory is moved and nothing else is done. */
    public boolean isCopy() {
      return this == COPY || this == PEER_COPY;
    }
  }
}
