package troupe.core.data;

import troupe.core.random.Philox;

/**
 * Cuts the sequences of a batch out of a stream. What a batch holds is a pure function of the
 * arguments, so any process can make any batch again, in any order; instances are immutable and
 * shared between threads.
 *
 * <p>A training sequence starts at a random token, drawn from (seed, step, index of the sequence in
 * the global batch). That index counts ranks first, then micro-batches, then sequences: the global
 * batch of a step is the same text however many ranks and micro-batches it is split into.
 */
public final class Batches {
  /**
   * Third word of the Philox counter: keeps these draws apart from those that routers make under
   * the same seed and step.
   */
  private static final int DOMAIN = 0x64617461;

  private final TokenStream stream;
  private final int seq;

  /**
   * @param stream where sequences come from
   * @param seq tokens of a sequence
   * @throws IllegalArgumentException if the stream has no {@code seq + 1} tokens: the last target
   *     follows the last token
   */
  public Batches(TokenStream stream, int seq) {
    if (seq < 1) {
      throw new IllegalArgumentException("seq: " + seq + " (expected: >= 1)");
    }
    if (stream.size() < seq + 1L) {
      throw new IllegalArgumentException(
          "tokens: " + stream.size() + " (expected: >= " + (seq + 1L) + ")");
    }
    this.stream = stream;
    this.seq = seq;
  }

  /**
   * How the sequences of a step are spread. {@code sequences} is that of one micro-batch of one
   * rank.
   */
  public record Split(int ranks, int microBatches, int sequences) {
    public Split {
      if (ranks < 1 || microBatches < 1 || sequences < 1) {
        throw new IllegalArgumentException(
            "ranks, micro-batches, sequences: "
                + ranks
                + ", "
                + microBatches
                + ", "
                + sequences
                + " (expected: >= 1)");
      }
    }
  }

  /** The sequences that a rank trains on in one micro-batch of a step. */
  public Batch training(long seed, int step, int rank, int microBatch, Split split) {
    checkIndex("rank", rank, split.ranks());
    checkIndex("micro-batch", microBatch, split.microBatches());
    int first = (rank * split.microBatches() + microBatch) * split.sequences();
    long[] starts = new long[split.sequences()];
    for (int i = 0; i < starts.length; i++) {
      long word = Philox.word64(seed, first + i, step, DOMAIN);
      starts[i] = Math.unsignedMultiplyHigh(word, numStarts());
    }
    return read(starts);
  }

  /**
   * Batch {@code index} of {@code count} whose sequences are spread evenly over the stream. They
   * overlap only if the stream is shorter than all of them together.
   */
  public Batch spread(int index, int count, int sequences) {
    checkIndex("batch", index, count);
    long total = (long) count * sequences;
    long[] starts = new long[sequences];
    for (int i = 0; i < sequences; i++) {
      long place = (long) index * sequences + i;
      // floor(place * numStarts / total), without overflow for streams of any length.
      starts[i] = place * (numStarts() / total) + place * (numStarts() % total) / total;
    }
    return read(starts);
  }

  private long numStarts() {
    return stream.size() - seq;
  }

  private Batch read(long[] starts) {
    int[] tokens_T = new int[Math.multiplyExact(starts.length, seq)];
    int[] targets_T = new int[tokens_T.length];
    for (int i = 0; i < starts.length; i++) {
      stream.read(starts[i], tokens_T, i * seq, seq);
      stream.read(starts[i] + 1, targets_T, i * seq, seq);
    }
    return new Batch(tokens_T, targets_T, starts.length, seq);
  }

  private static void checkIndex(String name, int value, int size) {
    if (value < 0 || value >= size) {
      throw new IllegalArgumentException(
          name + ": " + value + " (expected: 0 to " + (size - 1) + ")");
    }
  }
}
