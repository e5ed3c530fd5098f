package troupe.core.tensor.cuda;

/**
 * Over how many blocks of how many threads a kernel runs.
 *
 * @param shared bytes of dynamic shared memory of a block
 */
record Grid(long x, int y, int block, int shared) {
  /** Blocks that a grid has in its second dimension at most. */
  private static final int MOST_Y = 65_535;

  /** A line of blocks without dynamic shared memory. */
  static Grid line(long blocks, int block) {
    return new Grid(blocks, 1, block, 0);
  }

  /** The same with shared memory. */
  static Grid line(long blocks, int block, int shared) {
    return new Grid(blocks, 1, block, shared);
  }

  /** A plane of blocks. If it would be too high, its blocks take turns. */
  static Grid plane(long x, int y, int block) {
    return new Grid(x, Math.min(y, MOST_Y), block, 0);
  }

  /** Blocks that take {@code strip} columns and 32 rows each. */
  static Grid strips(int rows, int columns, int strip) {
    return plane(Math.ceilDiv(columns, strip), Math.ceilDiv(rows, 32), 256);
  }
}
