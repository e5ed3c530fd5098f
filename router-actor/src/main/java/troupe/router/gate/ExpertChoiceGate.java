package troupe.router.gate;

import java.util.Arrays;
import troupe.core.config.GateConfig.SoftmaxOver;

/**
 * Expert Choice (Zhou et al., "Mixture-of-Experts with Expert Choice Routing", arXiv 2202.09368):
 * every expert takes the tokens it likes best, as many as any other one, so that a token has none
 * to E experts and no load has to be balanced. With T tokens of a micro-batch, E experts and k =
 * {@code gate.top_k}:
 *
 * <pre>
 *   capacity    c = floor(T k / E), at least 1 where there are tokens
 *   EXPERTS     p_tj = softmax over j of logit_tj;   expert j takes the c tokens with the largest p_tj;   multiplier p_tj
 *   TOKENS      p_tj = softmax over t of logit_tj;   the same;   multiplier p_tj / experts that took t
 * </pre>
 *
 * EXPERTS is the paper's eq. 1, without renormalising and without a balance loss; TOKENS is
 * Google's variant (tensorflow/mesh@da90793, moe.py), where the number that divides is not
 * differentiated. Ties go to the first token. A token that nobody takes passes by on the residual
 * stream, and has no slot that could be counted as dropped. {@code experts.capacity_factor} and
 * what goes with it are not used: the capacity is c, in evaluation as in training.
 *
 * <p>The choice for a token depends on all tokens of the micro-batch, those to come included: a
 * causal model leaks, so a config has to set {@code gate.allow_leak}.
 *
 * <p>Costs k expert evaluations a token on average, and O(T E) with a selection of c for each
 * expert. The gradient is that of the multipliers, exactly; as with any gate that takes the best,
 * that of the choice is left out, so it is biased for every loss.
 */
final class ExpertChoiceGate implements Gate {
  private final int k;
  private final SoftmaxOver softmax;

  ExpertChoiceGate(int k, SoftmaxOver softmax) {
    this.k = k;
    this.softmax = softmax;
  }

  @Override
  public Routing route(GateInput input) {
    int tokens = input.tokens();
    int experts = input.experts();
    double[] logits_TE = input.logits_TE();
    double[] p_TE = new double[logits_TE.length];
    for (int from = 0; from < logits_TE.length; from += experts) {
      int best = Rows.argmaxFinite(logits_TE, from, from + experts);
      if (softmax == SoftmaxOver.EXPERTS) {
        Rows.softmax(p_TE, logits_TE, logits_TE[best], from, from + experts);
      }
    }
    boolean overTokens = softmax == SoftmaxOver.TOKENS;
    if (overTokens) {
      softmaxOverTokens(p_TE, logits_TE, tokens, experts);
    }
    // Over tokens the order of p is that of the logits, which do not underflow.
    TopSelection[] taken_E = select(overTokens ? logits_TE : p_TE, tokens, experts);
    int[] firstSlot_T1 = new int[tokens + 1];
    int[] expert_S = slots(firstSlot_T1, taken_E, p_TE, tokens);
    double[] multiplier_S = new double[expert_S.length];
    for (int t = 0; t < tokens; t++) {
      double divisor = overTokens ? firstSlot_T1[t + 1] - firstSlot_T1[t] : 1;
      for (int slot = firstSlot_T1[t]; slot < firstSlot_T1[t + 1]; slot++) {
        multiplier_S[slot] = p_TE[t * experts + expert_S[slot]] / divisor;
      }
    }
    return Routing.full(
        input,
        firstSlot_T1,
        p_TE,
        null,
        expert_S,
        new Places(expert_S, null),
        multiplier_S,
        overTokens
            ? ExpertChoiceGate::addGradientOverTokens
            : new Shares(Shares.Score.SOFTMAX, Divisor.ONE, 1, p_TE, firstSlot_T1, expert_S));
  }

  private TopSelection[] select(double[] liking_TE, int tokens, int experts) {
    int capacity = Math.clamp((long) tokens * k / experts, 1, Math.max(1, tokens));
    TopSelection[] taken_E = new TopSelection[experts];
    double[] least_E = new double[experts];
    Arrays.fill(least_E, Double.NEGATIVE_INFINITY);
    for (int e = 0; e < experts; e++) {
      taken_E[e] = new TopSelection(capacity);
    }
    for (int t = 0, i = 0; t < tokens; t++) {
      for (int e = 0; e < experts; e++, i++) {
        // A later token is never taken for a tie, so the common case is one comparison.
        if (liking_TE[i] > least_E[e]) {
          taken_E[e].offer(liking_TE[i], t);
          if (taken_E[e].isFull()) {
            least_E[e] = taken_E[e].worst();
          }
        }
      }
    }
    return taken_E;
  }

  /** Fills the first slot of each token and returns the experts that took it, best first. */
  private static int[] slots(
      int[] firstSlot_T1, TopSelection[] taken_E, double[] p_TE, int tokens) {
    int experts = taken_E.length;
    for (TopSelection taken : taken_E) {
      for (int i = 0; i < taken.size(); i++) {
        firstSlot_T1[taken.index(i) + 1]++;
      }
    }
    for (int t = 0; t < tokens; t++) {
      firstSlot_T1[t + 1] += firstSlot_T1[t];
    }
    int[] next_T = Arrays.copyOf(firstSlot_T1, tokens);
    int[] expert_S = new int[firstSlot_T1[tokens]];
    for (int e = 0; e < experts; e++) {
      for (int i = 0; i < taken_E[e].size(); i++) {
        int t = taken_E[e].index(i);
        int slot = next_T[t]++;
        // Insertion: a token has k slots on average.
        while (slot > firstSlot_T1[t]
            && p_TE[t * experts + expert_S[slot - 1]] < p_TE[t * experts + e]) {
          expert_S[slot] = expert_S[slot - 1];
          slot--;
        }
        expert_S[slot] = e;
      }
    }
    return expert_S;
  }

  private static void softmaxOverTokens(
      double[] p_TE, double[] logits_TE, int tokens, int experts) {
    double[] max_E = new double[experts];
    Arrays.fill(max_E, Double.NEGATIVE_INFINITY);
    double[] sum_E = new double[experts];
    for (int t = 0, i = 0; t < tokens; t++) {
      for (int e = 0; e < experts; e++, i++) {
        max_E[e] = Math.max(max_E[e], logits_TE[i]);
      }
    }
    for (int t = 0, i = 0; t < tokens; t++) {
      for (int e = 0; e < experts; e++, i++) {
        p_TE[i] = Math.exp(logits_TE[i] - max_E[e]);
        sum_E[e] += p_TE[i];
      }
    }
    for (int t = 0, i = 0; t < tokens; t++) {
      for (int e = 0; e < experts; e++, i++) {
        p_TE[i] /= sum_E[e];
      }
    }
  }

  /**
   * With n_t the number of experts that took token t:
   *
   * <pre>
   *   dLogits_tj += p_tj (1[j took t] s_tj / n_t - sum over tokens u that j took of p_uj s_uj / n_u)
   * </pre>
   */
  private static void addGradientOverTokens(
      double[] dLogits_TE, Routing routing, Feedback feedback) {
    int experts = routing.experts();
    double[] p_TE = routing.p_TE();
    double[] sum_E = new double[experts];
    for (int t = 0; t < routing.tokens(); t++) {
      for (int slot = routing.firstSlot_T1()[t]; slot < routing.firstSlot_T1()[t + 1]; slot++) {
        int expert = routing.expert_S()[slot];
        double own = feedback.s_S()[slot] * routing.multiplier_S()[slot];
        dLogits_TE[t * experts + expert] += own;
        sum_E[expert] += own;
      }
    }
    for (int t = 0, i = 0; t < routing.tokens(); t++) {
      for (int e = 0; e < experts; e++, i++) {
        dLogits_TE[i] -= p_TE[i] * sum_E[e];
      }
    }
  }
}
