package troupe.router.trunk;

/**
 * How the flat trunk is cut over ranks: rank r owns elements {@code from(r)} to {@code from(r) +
 * count(r)}, sums the gradients of all ranks there, keeps the optimizer's moments and sends the
 * updated parameters to the others (ZeRO stage 1, arXiv 1910.02054).
 */
public record Slices(long size, int ranks) {
  /** Elements that a cut is a multiple of: 64 bytes of float32. */
  static final int ALIGNMENT = 16;

  /** Checks that every rank gets something. */
  public Slices {
    if (ranks < 1 || size / ALIGNMENT < ranks) {
      throw new IllegalArgumentException(
          "ranks: "
              + ranks
              + " (expected: 1 to "
              + size / ALIGNMENT
              + " for a trunk of "
              + size
              + " elements)");
    }
  }

  /** The first element of a rank's slice. */
  public long from(int rank) {
    return rank == ranks ? size : size / ALIGNMENT * rank / ranks * ALIGNMENT;
  }

  /** The number of elements of a rank's slice. */
  public int count(int rank) {
    return Math.toIntExact(from(rank + 1) - from(rank));
  }
}
