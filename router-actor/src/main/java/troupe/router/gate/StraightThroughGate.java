package troupe.router.gate;

/**
 * Forward the output of one sampled expert alone, {@code y = f_D}; backward as if the choice had
 * been soft, by a {@link Surrogate}. For that every expert is evaluated, N a token in training, one
 * in evaluation: what makes these estimators no choice for large N, and a comparison for those that
 * evaluate one. Outputs of the others have multiplier 0, so only D learns.
 *
 * <p>Biased: the surrogate's gradient is that of the objective {@code sum_i p_i l(f_i)} where l is
 * linear, ReinMax's (tau 1) also where l is quadratic. D is sampled as SparseMixer samples, mask
 * included: the published forms are those without a mask.
 */
final class StraightThroughGate implements Gate {
  private final Gate sampler;
  private final Surrogate surrogate;

  StraightThroughGate(MaskRule mask, Surrogate surrogate) {
    this.sampler = new SparseMixerGate(mask, ScaleRule.FIRST_ORDER, 1);
    this.surrogate = surrogate;
  }

  @Override
  public Routing route(GateInput input) {
    Routing sampled = sampler.route(input.with(Capacity.DROPLESS));
    if (!input.training()) {
      return Ungated.of(sampled, Estimator.NONE);
    }
    double[] onehot_TE = new double[sampled.p_TE().length];
    for (int t = 0; t < input.tokens(); t++) {
      onehot_TE[t * input.experts() + sampled.expert_S()[t]] = 1;
    }
    return AllExperts.routing(
        input, sampled.p_TE(), sampled.kept_TE(), onehot_TE, surrogate.estimator(input, sampled));
  }
}
