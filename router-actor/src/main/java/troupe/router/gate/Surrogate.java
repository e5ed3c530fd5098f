package troupe.router.gate;

import troupe.core.math.Log;

/**
 * What a straight-through gate differentiates in place of its choice. With D the sampled expert, p
 * the softmax it was sampled from, c_i = {@code <dl/dy, f_i>} and {@code J(q)_j = q_j (c_j - sum_i
 * q_i c_i)}.
 */
@FunctionalInterface
interface Surrogate {
  /**
   * {@code dLogits = J(p)}: the straight-through estimator (Bengio, Leonard, Courville, arXiv
   * 1308.3432), which ReinMax's paper shows to be of first order.
   */
  Surrogate PLAIN = (input, sampled) -> new SoftmaxGradient(sampled.p_TE(), 1);

  /** The gradient of a routing whose expert D was sampled from its p. */
  Estimator estimator(GateInput input, Routing sampled);

  /**
   * {@code dLogits = J(q) / tau} with {@code q = softmax((logit - ln e) / tau)}, e being the draws
   * that D was chosen by: straight-through Gumbel-softmax (Jang, Gu, Poole, arXiv 1611.01144; as
   * torch.nn.functional.gumbel_softmax with hard=True). Biased, the less so the lower tau, at the
   * price of a variance that grows without bound.
   */
  static Surrogate gumbel(double tau) {
    return (input, sampled) -> {
      int experts = input.experts();
      double[] score_TE = new double[input.logits_TE().length];
      double[] q_TE = new double[score_TE.length];
      for (int i = 0; i < score_TE.length; i++) {
        double e = input.draws().exponential(i / experts, i % experts, 0);
        score_TE[i] = (input.logits_TE()[i] - Log.of(e)) / tau;
      }
      softmax(q_TE, score_TE, sampled, experts);
      return new SoftmaxGradient(q_TE, 1 / tau);
    };
  }

  /**
   * {@code dLogits = 2 J((p_tau + onehot_D) / 2) - J(p) / 2} with {@code p_tau = softmax(logit /
   * tau)}: ReinMax (Liu, Dong, Liu, Yu, Gao, "Bridging discrete and backpropagation", arXiv
   * 2304.08612), Heun's method in place of Euler's; of second order at tau 1. Not divided by tau.
   *
   * <p>Source: microsoft/ReinMax@c2f1ff2, reinmax/reinmax.py, whose subtraction of the mean is left
   * out: it is zero but for roundings.
   */
  static Surrogate reinMax(double tau) {
    return (input, sampled) -> {
      int experts = input.experts();
      double[] q_TE = sampled.p_TE().clone();
      if (tau != 1) {
        double[] cooled_TE = new double[q_TE.length];
        for (int i = 0; i < cooled_TE.length; i++) {
          cooled_TE[i] = input.logits_TE()[i] / tau;
        }
        softmax(q_TE, cooled_TE, sampled, experts);
      }
      for (int t = 0; t < input.tokens(); t++) {
        q_TE[t * experts + sampled.expert_S()[t]] += 1;
      }
      for (int i = 0; i < q_TE.length; i++) {
        q_TE[i] /= 2;
      }
      Estimator second = new SoftmaxGradient(q_TE, 2);
      Estimator first = new SoftmaxGradient(sampled.p_TE(), -0.5);
      return (dLogits_TE, routing, feedback) -> {
        second.addGradient(dLogits_TE, routing, feedback);
        first.addGradient(dLogits_TE, routing, feedback);
      };
    };
  }

  /** Softmax row by row over what the mask kept. */
  private static void softmax(double[] q_TE, double[] score_TE, Routing sampled, int experts) {
    Kept kept_TE = sampled.kept_TE();
    for (int from = 0; from < score_TE.length; from += experts) {
      double max = Double.NEGATIVE_INFINITY;
      for (int i = from; i < from + experts; i++) {
        max =
            kept_TE == null || kept_TE.has(i / experts, i % experts)
                ? Math.max(max, score_TE[i])
                : max;
      }
      if (kept_TE == null) {
        Rows.softmax(q_TE, score_TE, max, from, from + experts);
      } else {
        Rows.softmaxKept(q_TE, score_TE, kept_TE, max, from, from + experts);
      }
    }
  }
}
