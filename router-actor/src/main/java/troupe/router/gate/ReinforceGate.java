package troupe.router.gate;

/**
 * REINFORCE (Williams, "Simple statistical gradient-following algorithms", 1992): the expert D is
 * sampled from the (masked) softmax p and is made likelier or less likely by how the tokens that it
 * is answerable for turned out. Per token, with l the mean loss to go, b its baseline and w the
 * share of the step's loss that l is:
 *
 * <pre>
 *   dLogits_j += w (l - b) (1[j = D] - p_j)          the score; the multiplier is 1
 *              + s p_D (1[j = D] - p_j)              if gated: the path through the multiplier p_D
 * </pre>
 *
 * Unbiased for any loss and any baseline that is independent of D: gated for {@code sum_i p_i l(p_i
 * f_i)}, else for {@code sum_i p_i l(f_i)}. With a capacity it is not: who gets a place touches
 * tokens that the loss to go leaves out; the score is that of the expert asked for, wherever the
 * slot went. Costs one expert evaluation a token and a variance that is the highest of all; a mask
 * makes the objective one over the kept experts.
 */
final class ReinforceGate implements Gate {
  private final Gate sampler;
  private final LossBaseline baseline;
  private final boolean gated;

  ReinforceGate(MaskRule mask, LossBaseline baseline, boolean gated) {
    this.sampler = new SparseMixerGate(mask, ScaleRule.FIRST_ORDER, 1);
    this.baseline = baseline;
    this.gated = gated;
  }

  @Override
  public Routing route(GateInput input) {
    Routing sampled = sampler.route(input);
    if (!input.training()) {
      return gated ? sampled : Ungated.of(sampled, Estimator.NONE);
    }
    double[] state = input.state();
    return gated
        ? sampled.with(
            (dLogits_TE, routing, feedback) -> {
              sampled.backward(dLogits_TE, feedback);
              addScore(dLogits_TE, routing, feedback.losses(), state);
            })
        : Ungated.of(
            sampled,
            (dLogits_TE, routing, feedback) ->
                addScore(dLogits_TE, routing, feedback.losses(), state));
  }

  private void addScore(
      double[] dLogits_TE, Routing routing, Feedback.Losses losses, double[] state) {
    int experts = routing.experts();
    double[] p_TE = routing.p_TE();
    double[] advantage_T = advantages(losses, state);
    for (int t = 0; t < routing.tokens(); t++) {
      int chosen = routing.wanted_S()[t];
      for (int e = 0; e < experts; e++) {
        dLogits_TE[t * experts + e] +=
            advantage_T[t] * ((e == chosen ? 1 : 0) - p_TE[t * experts + e]);
      }
    }
  }

  /** {@code (loss - baseline) * share of the step's loss}. */
  @Override
  public double[] advantages(Feedback.Losses losses, double[] state) {
    double[] advantage_T = baseline.perToken(losses, state);
    for (int t = 0; t < advantage_T.length; t++) {
      advantage_T[t] = (losses.mean_T()[t] - advantage_T[t]) * losses.weight_T()[t];
    }
    return advantage_T;
  }

  @Override
  public boolean needsLosses() {
    return true;
  }

  @Override
  public GateState state() {
    return baseline.state();
  }
}
