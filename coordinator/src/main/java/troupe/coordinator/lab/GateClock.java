package troupe.coordinator.lab;

import java.util.function.LongSupplier;
import troupe.router.gate.CounterDraws;
import troupe.router.gate.Routing;

/** How long a gate takes on the host for a token, forward and backward, experts not included. */
final class GateClock {
  private static final int WARM_UP_PASSES = 200;
  private static final int ROUNDS = 7;
  private static final int PASSES = 20;

  private final LongSupplier nanoTime;

  GateClock(LongSupplier nanoTime) {
    this.nanoTime = nanoTime;
  }

  /** Nanoseconds a token: the median of a few rounds, so that a pause in one does not count. */
  double nanosPerToken(Contender contender, Problem problem) {
    GatePass told = contender.pass(problem, 0, 0);
    passes(contender, problem, told, WARM_UP_PASSES);
    double[] nanos = new double[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
      long before = nanoTime.getAsLong();
      passes(contender, problem, told, PASSES);
      nanos[round] = (double) (nanoTime.getAsLong() - before) / PASSES / problem.tokens();
    }
    return Statistics.median(nanos);
  }

  /** The same draws each time, so that what backward is told fits the slots. */
  private static void passes(Contender contender, Problem problem, GatePass told, int count) {
    double[] dLogits_TE = new double[problem.logits_TE().length];
    for (int n = 0; n < count; n++) {
      Routing routing =
          contender.gate().route(contender.input(problem, new CounterDraws(0, 0, 0, 0), true));
      routing.backward(dLogits_TE, told.feedback());
    }
  }
}
