package troupe.router.gate;

import java.util.Arrays;
import troupe.core.config.GateConfig.Relu;

/**
 * ReLU routing (ReMoE, Wang, Zhu, Chen, arXiv 2412.14711): every expert with a positive logit takes
 * part, at that logit, so that nothing is chosen and nothing jumps.
 *
 * <pre>
 *   y = sum_j relu(logit_j) f_j
 *   penalty = lambda * E / (k T) * sum_j load_j * sum_t relu(logit_tj)          load_j: share of the T tokens that use expert j
 *   lambda *= growth^sign(mean load - k / E)                                    after every step, so that k experts are used
 * </pre>
 *
 * <p>The penalty is L1 with the load as weights, which balances experts as well; the reported loss
 * has it. What is kept from step to step is how often lambda grew less how often it shrank, from
 * {@code coefficient} on: the exponent neither under- nor overflows. The authors have one lambda
 * for all layers and take the mean of their loads; here each layer has its own, so that each comes
 * to k experts a token.
 *
 * <p>Costs as many expert evaluations as logits are positive: about E / 2 a token at first, k on
 * average once lambda has found its value. The gradient is exact for every loss: the layer is a
 * continuous function of the logits. A token without a positive logit passes by and gets no
 * gradient; the router has no bias, which could take all of them there.
 *
 * <p>Where experts are of no use, the penalty meets no resistance and takes all logits below zero,
 * for good: so it went on random tokens. On text a layer came to k within a hundred steps.
 *
 * <p>Source: the paper's abstract and figures, and ports of the authors' Megatron-LM code in other
 * repositories (relu and penalty as in their ReLURouter, lambda as in their update of the
 * coefficient); thu-ml/ReMoE itself was not to be had. At a load of exactly k / E lambda stays,
 * where one port lets it shrink.
 */
final class ReluGate implements Gate {
  private final Relu config;
  private final int k;
  private final GateState exponent;

  ReluGate(Relu config, int k) {
    this.config = config;
    this.k = k;
    this.exponent = new Exponent(k);
  }

  @Override
  public GateState state() {
    return exponent;
  }

  @Override
  public Routing route(GateInput input) {
    int tokens = input.tokens();
    int experts = input.experts();
    double[] logits_TE = input.logits_TE();
    double[] p_TE = new double[tokens * experts];
    int[] firstSlot_T1 = new int[tokens + 1];
    int[] wanted_S = new int[tokens * experts];
    double[] descending_E = new double[experts];
    int slots = 0;
    for (int t = 0; t < tokens; t++) {
      int from = t * experts;
      Rows.argmaxFinite(logits_TE, from, from + experts);
      double sum = 0;
      for (int i = from; i < from + experts; i++) {
        descending_E[i - from] = -logits_TE[i];
        sum += Math.max(logits_TE[i], 0);
      }
      for (int e : IndexSort.ascending(descending_E)) {
        if (logits_TE[from + e] <= 0) {
          break;
        }
        p_TE[from + e] = logits_TE[from + e] / sum;
        wanted_S[slots++] = e;
      }
      firstSlot_T1[t + 1] = slots;
    }
    wanted_S = Arrays.copyOf(wanted_S, slots);
    // Only experts that take part anyway have a probability: nothing is ever rerouted.
    Places places = Places.of(input, firstSlot_T1, wanted_S, p_TE);
    double[] multiplier_S = new double[slots];
    for (int t = 0; t < tokens; t++) {
      for (int slot = firstSlot_T1[t]; slot < firstSlot_T1[t + 1]; slot++) {
        multiplier_S[slot] = logits_TE[t * experts + places.expert_S()[slot]];
      }
    }
    return Routing.full(
        input,
        firstSlot_T1,
        p_TE,
        null,
        wanted_S,
        places,
        multiplier_S,
        new Gradient(lambda(input.state()), k));
  }

  private double lambda(double[] state) {
    return config.coefficient() * Math.pow(config.growth(), state.length == 0 ? 0 : state[0]);
  }

  /** {@code dLogits_j += s_j + lambda * E / (k T) * load_j} where the logit is positive. */
  record Gradient(double lambda, int k) implements Estimator {
    @Override
    public void addGradient(double[] dLogits_TE, Routing routing, Feedback feedback) {
      int experts = routing.experts();
      double[] load_E = feedback.load_E();
      double factor = load_E == null ? 0 : lambda * experts / ((double) k * feedback.tokens());
      for (int t = 0; t < routing.tokens(); t++) {
        for (int slot = routing.firstSlot_T1()[t]; slot < routing.firstSlot_T1()[t + 1]; slot++) {
          int expert = routing.expert_S()[slot];
          double penalty = load_E == null ? 0 : factor * load_E[expert];
          dLogits_TE[t * experts + expert] += feedback.s_S()[slot] + penalty;
        }
      }
    }

    @Override
    public double[] penalty(Routing routing) {
      double[] sum_E = new double[routing.experts()];
      for (int slot = 0; slot < routing.slots(); slot++) {
        sum_E[routing.expert_S()[slot]] += routing.multiplier_S()[slot];
      }
      for (int e = 0; e < sum_E.length; e++) {
        sum_E[e] *= lambda * sum_E.length / k;
      }
      return sum_E;
    }
  }

  /** How often the penalty's weight has been raised, less how often it was lowered. */
  private record Exponent(int k) implements GateState {
    @Override
    public int size(int experts) {
      return 1;
    }

    @Override
    public double initial() {
      return 0;
    }

    @Override
    public double rate() {
      return 1;
    }

    @Override
    public void addChange(double[] dState, double[] state, int tokens, Feedback feedback) {
      double active = 0;
      for (double load : feedback.load_E()) {
        active += Math.rint(load * feedback.tokens());
      }
      double raise = Math.signum(active - (double) k * feedback.tokens());
      dState[0] -= raise * tokens / feedback.tokens();
    }
  }
}
