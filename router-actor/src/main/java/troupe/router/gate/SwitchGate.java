package troupe.router.gate;

/**
 * The gate of the Switch Transformer (Fedus, Zoph, Shazeer, arXiv 2101.03961): the best expert of a
 * full softmax, with the plain gradient of its probability. Jitter multiplies the logits in
 * training, as in the baseline of the authors of SparseMixer; with jitter on the router's input
 * instead ({@link Jitter#inputFactors}) this gate is built without any.
 *
 * <p>Source: microsoft/SparseMixer@1b41d56, SwitchGate.
 */
final class SwitchGate implements Gate {
  private final Jitter logitJitter;

  SwitchGate(Jitter logitJitter) {
    this.logitJitter = logitJitter;
  }

  @Override
  public Routing route(GateInput input) {
    int tokens = input.tokens();
    int experts = input.experts();
    double[] logits_TE = input.logits_TE();
    Draws draws = input.draws();
    boolean jittered = input.training() && logitJitter.epsilon() > 0;
    double[] u_TE = jittered ? new double[tokens * experts] : null;
    double[] used_TE = jittered ? new double[tokens * experts] : logits_TE;
    double[] p_TE = new double[tokens * experts];
    int[] expert_T = new int[tokens];
    for (int t = 0; t < tokens; t++) {
      int from = t * experts;
      int to = from + experts;
      if (jittered) {
        for (int i = from; i < to; i++) {
          double u = logitJitter.factor(draws.noise(t, i - from));
          u_TE[i] = u;
          used_TE[i] = logits_TE[i] * u;
        }
      }
      int best = Rows.argmaxFinite(used_TE, from, to);
      Rows.softmax(p_TE, used_TE, used_TE[best], from, to);
      expert_T[t] = best - from;
    }
    return TopOne.routing(input, used_TE, p_TE, null, expert_T, TopOne.FULL, u_TE, 1);
  }
}
