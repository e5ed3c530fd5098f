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
  public Wishes wish(GateInput input) {
    return isJittered(input) ? Gate.super.wish(input) : Wishes.best(input, 1);
  }

  private boolean isJittered(GateInput input) {
    return input.training() && logitJitter.epsilon() > 0;
  }

  @Override
  public Routing route(GateInput input) {
    int tokens = input.tokens();
    int experts = input.experts();
    double[] logits_TE = input.logits_TE();
    boolean jittered = isJittered(input);
    double[] u_TE = jittered ? new double[tokens * experts] : null;
    double[] used_TE = jittered ? new double[tokens * experts] : logits_TE;
    double[] p_TE = new double[tokens * experts];
    int[] expert_T = new int[tokens];
    Tile tile = new Tile(experts, tokens);
    for (int from = 0; from < tokens; from += tile.capacity()) {
      int count = Math.min(tile.capacity(), tokens - from);
      if (jittered) {
        tile.loadJittered(logits_TE, from, count, logitJitter, input.draws(), u_TE, used_TE);
      } else {
        tile.load(logits_TE, from, count);
      }
      tile.findBest();
      tile.storeProbabilities(p_TE);
      for (int t = 0; t < count; t++) {
        expert_T[from + t] = tile.best(t);
      }
    }
    return TopOne.routing(input, used_TE, p_TE, null, expert_T, Routing.ones(tokens), u_TE, 1);
  }
}
