package troupe.core.data;

/**
 * Sequences of tokens, one after the other, and beside every token the one that follows it in the
 * text. T = sequences * seq.
 *
 * @param tokens_T what the model reads
 * @param targets_T what it should have said
 * @param sequences how many sequences there are
 * @param seq tokens of a sequence
 */
public record Batch(int[] tokens_T, int[] targets_T, int sequences, int seq) {
  public Batch {
    int size = Math.multiplyExact(sequences, seq);
    if (tokens_T.length != size || targets_T.length != size) {
      throw new IllegalArgumentException(
          "tokens, targets: "
              + tokens_T.length
              + ", "
              + targets_T.length
              + " (expected: "
              + size
              + ")");
    }
  }
}
