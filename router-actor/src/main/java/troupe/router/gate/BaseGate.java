package troupe.router.gate;

/**
 * BASE layers (Lewis et al., arXiv 2103.16716): in training tokens are assigned to experts so that
 * every expert has as many, by an {@link Auction} for the largest sum of logits; in evaluation each
 * goes to its best expert. With D the expert of a token and FF its network:
 *
 * <pre>
 *   y = alpha F(x) + (1 - alpha) x = x + alpha FF(x),   alpha = sigmoid(logit_D),   F(x) = x + FF(x)
 * </pre>
 *
 * which is what the layer's combine does with alpha as the multiplier. The assignment is detached,
 * alpha is not. No balance loss.
 *
 * <p>Where the T tokens of a micro-batch are no multiple of E, the T mod E tokens that lose least
 * by another expert (the smallest distance of best and second best logit, the first on ties) stay
 * out of the auction; the surest of them first, each takes the best expert that has not yet taken
 * one more. Loads differ by one at most.
 *
 * <p>The authors may send tokens to random workers before they assign them, since a worker's own
 * tokens are alike and yet have to be spread evenly over all experts. Not done here: a micro-batch
 * is itself made of sequences from all over the corpus, so no rank has a kind of text of its own.
 *
 * <p>Source: facebookresearch/fairseq@3d262bb, base_layer.py; its centroids have no bias and are
 * orthogonal at the start, ours are the columns of the router's matrix. Costs one expert evaluation
 * a token. The gradient is exact for alpha at the choice made; that of the choice is left out, so
 * it is biased for every loss.
 */
final class BaseGate implements Gate {
  @Override
  public Routing route(GateInput input) {
    int tokens = input.tokens();
    int experts = input.experts();
    double[] logits_TE = input.logits_TE();
    double[] p_TE = new double[logits_TE.length];
    int[] expert_T = new int[tokens];
    for (int t = 0; t < tokens; t++) {
      int from = t * experts;
      int best = Rows.argmaxFinite(logits_TE, from, from + experts);
      Rows.softmax(p_TE, logits_TE, logits_TE[best], from, from + experts);
      expert_T[t] = best - from;
    }
    if (input.training() && experts > 1) {
      assign(expert_T, logits_TE, experts);
    }
    return ChosenSigmoid.routing(input, p_TE, expert_T);
  }

  /** Replaces the best experts by balanced ones. */
  private static void assign(int[] expert_T, double[] logits_TE, int experts) {
    int tokens = expert_T.length;
    int over = tokens % experts;
    int[] bySureness_T = over == 0 ? new int[0] : bySureness(expert_T, logits_TE, experts);
    boolean[] isOver_T = new boolean[tokens];
    for (int i = 0; i < over; i++) {
      isOver_T[bySureness_T[i]] = true;
    }
    int[] token_J = new int[tokens - over];
    for (int t = 0, job = 0; t < tokens; t++) {
      if (!isOver_T[t]) {
        token_J[job++] = t;
      }
    }
    int[] expert_J = new Auction(logits_TE, token_J, experts).assign();
    for (int job = 0; job < token_J.length; job++) {
      expert_T[token_J[job]] = expert_J[job];
    }
    boolean[] taken_E = new boolean[experts];
    for (int i = over - 1; i >= 0; i--) {
      int t = bySureness_T[i];
      expert_T[t] = bestFree(logits_TE, taken_E, t);
      taken_E[expert_T[t]] = true;
    }
  }

  private static int[] bySureness(int[] best_T, double[] logits_TE, int experts) {
    double[] sureness_T = new double[best_T.length];
    for (int t = 0; t < best_T.length; t++) {
      double second = Double.NEGATIVE_INFINITY;
      for (int e = 0; e < experts; e++) {
        second = e == best_T[t] ? second : Math.max(second, logits_TE[t * experts + e]);
      }
      sureness_T[t] = logits_TE[t * experts + best_T[t]] - second;
    }
    return IndexSort.ascending(sureness_T);
  }

  private static int bestFree(double[] logits_TE, boolean[] taken_E, int token) {
    int from = token * taken_E.length;
    int best = -1;
    for (int e = 0; e < taken_E.length; e++) {
      if (!taken_E[e] && (best < 0 || logits_TE[from + e] > logits_TE[from + best])) {
        best = e;
      }
    }
    return best;
  }
}
