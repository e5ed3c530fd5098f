package troupe.core.data;

/** Counts of a stream, made when first asked for. */
final class CountedTokens implements TokenCounts {
  /** Tokens that are read at a time. */
  private static final int PIECE = 1 << 16;

  private final TokenStream stream;
  private long[] count_V;

  CountedTokens(TokenStream stream) {
    this.stream = stream;
  }

  @Override
  public synchronized long[] of(int vocab) {
    if (count_V == null || count_V.length != vocab) {
      count_V = count(vocab);
    }
    return count_V.clone();
  }

  private long[] count(int vocab) {
    long[] counts = new long[vocab];
    int[] piece = new int[PIECE];
    for (long from = 0; from < stream.size(); from += PIECE) {
      int length = (int) Math.min(PIECE, stream.size() - from);
      stream.read(from, piece, 0, length);
      for (int i = 0; i < length; i++) {
        counts[piece[i]]++;
      }
    }
    return counts;
  }
}
