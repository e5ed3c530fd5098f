package troupe.router.gate;

/** Routings whose outputs are not multiplied by a probability: the choice alone is the gate's. */
final class Ungated {
  private Ungated() {}

  /** The same choices at full output, with another estimator. */
  static Routing of(Routing routing, Estimator estimator) {
    double[] one_S = Routing.ones(routing.slots());
    return routing.with(one_S, one_S, estimator);
  }
}
