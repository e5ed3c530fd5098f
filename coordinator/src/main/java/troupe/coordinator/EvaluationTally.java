package troupe.coordinator;

import java.util.BitSet;
import troupe.router.RouterActor;

/** The shares of a validation that ranks have reported; summed in rank order. */
final class EvaluationTally {
  private final double[] lossSum_R;
  private final long[] tokens_R;
  private final BitSet reported = new BitSet();

  EvaluationTally(int ranks) {
    this.lossSum_R = new double[ranks];
    this.tokens_R = new long[ranks];
  }

  /** Takes the share of a rank; returns whether all are there now. */
  boolean add(RouterActor.Evaluated evaluated) {
    lossSum_R[evaluated.rank()] = evaluated.lossSum();
    tokens_R[evaluated.rank()] = evaluated.tokens();
    reported.set(evaluated.rank());
    return reported.cardinality() == lossSum_R.length;
  }

  /** The first rank that has not reported yet. */
  int missing() {
    return reported.nextClearBit(0);
  }

  long tokens() {
    long sum = 0;
    for (long tokens : tokens_R) {
      sum += tokens;
    }
    return sum;
  }

  double loss() {
    double sum = 0;
    for (double lossSum : lossSum_R) {
      sum += lossSum;
    }
    return sum / tokens();
  }
}
