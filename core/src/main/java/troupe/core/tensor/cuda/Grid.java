package troupe.core.tensor.cuda;

/**
 * Over how many blocks of how many threads a kernel runs.
 *
 * @param shared bytes of dynamic shared memory of a block
 */
record Grid(long x, int y, int z, int block, int shared) {
  /** A line of blocks without dynamic shared memory. */
  static Grid line(long blocks, int block) {
    return new Grid(blocks, 1, 1, block, 0);
  }

  /** The same with shared memory. */
  static Grid line(long blocks, int block, int shared) {
    return new Grid(blocks, 1, 1, block, shared);
  }

  /** A plane of blocks. */
  static Grid plane(long x, int y, int block) {
    return new Grid(x, y, 1, block, 0);
  }
}
