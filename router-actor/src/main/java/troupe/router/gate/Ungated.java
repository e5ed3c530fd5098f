package troupe.router.gate;

import java.util.Arrays;

/** Routings whose outputs are not multiplied by a probability: the choice alone is the gate's. */
final class Ungated {
  private Ungated() {}

  /** The same choices at full output, with another estimator. */
  static Routing of(Routing routing, Estimator estimator) {
    double[] one_S = new double[routing.slots()];
    Arrays.fill(one_S, 1);
    return new Routing(
        routing.tokens(),
        routing.experts(),
        routing.firstSlot_T1(),
        routing.logits_TE(),
        routing.p_TE(),
        routing.kept_TE(),
        routing.wanted_S(),
        routing.expert_S(),
        routing.placed_S(),
        one_S,
        one_S,
        one_S,
        routing.logitScale_TE(),
        estimator);
  }
}
