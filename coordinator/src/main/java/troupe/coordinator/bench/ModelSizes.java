package troupe.coordinator.bench;

import troupe.core.UserException;

/**
 * The sizes of configs/h200-8e.conf, with fewer tokens for smaller machines.
 *
 * @param scale what tokens, and elements that the optimizer updates, are divided by
 */
record ModelSizes(int scale) {
  static final int D = 1024;
  static final int FF = 4096;
  static final int VOCAB = 32_000;
  static final int EXPERTS = 8;
  static final int HEADS = 16;

  /** Columns of what the optimizer updates; see {@link #updateRows}. */
  static final int UPDATE_COLUMNS = 8192;

  private static final int SEQ = 1024;
  private static final int TOKENS = 32 * SEQ;
  private static final int MOST = TOKENS / EXPERTS;

  /** Checks the scale. */
  ModelSizes {
    if (scale < 1 || scale > MOST || Integer.bitCount(scale) != 1) {
      throw new UserException(
          "--scale: " + scale + " (expected: a power of two from 1 to " + MOST + ")",
          "--scale 64 suits a laptop");
    }
  }

  int tokens() {
    return TOKENS / scale;
  }

  int tokensOfExpert() {
    return tokens() / EXPERTS;
  }

  int seq() {
    return Math.min(SEQ, tokens());
  }

  int batch() {
    return tokens() / seq();
  }

  /** Rows of {@link #UPDATE_COLUMNS} that the optimizer updates: 64 Mi elements at scale 1. */
  int updateRows() {
    return Math.max(1, (64 << 20) / UPDATE_COLUMNS / scale);
  }
}
