package troupe.coordinator;

import java.util.BitSet;
import troupe.router.RouterActor;

/** The shares of a validation that ranks have reported; summed in rank order. */
final class EvaluationTally {
  private final long id;
  private final double[] lossSum_R;
  private final long[] tokens_R;
  private final BitSet reported = new BitSet();

  EvaluationTally(long id, int ranks) {
    this.id = id;
    this.lossSum_R = new double[ranks];
    this.tokens_R = new long[ranks];
  }

  long id() {
    return id;
  }

  /** Takes the share of a rank; returns whether all are there now. */
  boolean add(RouterActor.Evaluated evaluated) {
    lossSum_R[evaluated.rank()] = evaluated.lossSum();
    tokens_R[evaluated.rank()] = evaluated.tokens();
    reported.set(evaluated.rank());
    return reported.cardinality() == lossSum_R.length;
  }

  /** A rank that has not reported yet and where it lives, for a message to the user. */
  String missing(Group group) {
    return group.whereIs(reported.nextClearBit(0));
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
