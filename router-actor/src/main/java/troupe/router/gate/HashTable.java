package troupe.router.gate;

import java.util.stream.IntStream;
import troupe.core.config.RunConfig;
import troupe.core.data.TokenCounts;
import troupe.core.random.Philox;

/** Which expert each token of the vocabulary goes to, for the gate that hashes. */
public final class HashTable {
  /** Tells these draws from all others under the same seed. */
  private static final int DOMAIN = 0x48415348;

  private HashTable() {}

  /**
   * The table that a config describes: a pure function of it, its seed and the text, so that every
   * rank begins with the same one.
   */
  public static int[] of(RunConfig config, TokenCounts counts) {
    int vocab = config.model().vocab();
    int experts = config.experts().count();
    return switch (config.gate().hash().table()) {
      case RANDOM -> random(config.seed(), vocab, experts);
      case BALANCED -> balanced(counts.of(vocab), experts);
    };
  }

  /** Every token draws its expert. */
  static int[] random(long seed, int vocab, int experts) {
    return IntStream.range(0, vocab)
        .map(id -> (int) Math.unsignedMultiplyHigh(Philox.word64(seed, id, 0, DOMAIN), experts))
        .toArray();
  }

  /**
   * The most frequent token first, each to the expert with the least to do so far; the lower number
   * on ties. Tokens that do not occur, of which nobody knows how frequent they will be, are dealt
   * out in turn.
   */
  static int[] balanced(long[] count_V, int experts) {
    int[] table_V = new int[count_V.length];
    long[] load_E = new long[experts];
    int unseen = 0;
    int[] byCount =
        IntStream.range(0, count_V.length)
            .boxed()
            .sorted((a, b) -> Long.compare(count_V[b], count_V[a]))
            .mapToInt(Integer::intValue)
            .toArray();
    for (int id : byCount) {
      int expert = count_V[id] == 0 ? unseen++ % experts : leastLoaded(load_E);
      load_E[expert] += count_V[id];
      table_V[id] = expert;
    }
    return table_V;
  }

  private static int leastLoaded(long[] load_E) {
    int least = 0;
    for (int e = 1; e < load_E.length; e++) {
      if (load_E[e] < load_E[least]) {
        least = e;
      }
    }
    return least;
  }
}
