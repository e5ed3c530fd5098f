package troupe.core.data;

/**
 * A sequence of tokens too long to hold in an array. Immutable: any number of threads may read at
 * once, without locks.
 */
public interface TokenStream {
  /** How many tokens there are. */
  long size();

  /**
   * Copies the tokens {@code [from, from + count)} to {@code out[offset ..]}.
   *
   * @throws IndexOutOfBoundsException if the stream or the array does not have that range
   */
  void read(long from, int[] out, int offset, int count);
}
