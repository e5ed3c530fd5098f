package troupe.core.data;

/** How often each token occurs in the text that a run trains on: the same on every node. */
@FunctionalInterface
public interface TokenCounts {
  /** Nothing is known: what a model starts from that a checkpoint is loaded into. */
  TokenCounts UNKNOWN = long[]::new;

  /** Occurrences of the tokens of a vocabulary of this size. */
  long[] of(int vocab);

  /** Counts a stream in one pass when first asked, and remembers. */
  static TokenCounts of(TokenStream stream) {
    return new CountedTokens(stream);
  }
}
