package troupe.core.config;

/** Which gate routes tokens and estimates the router's gradient. */
public enum GateType {
  SWITCH,
  SPARSEMIXER,
  SPARSEMIXER_1ST,
  SPARSEMIXER_2ND,
  SPARSEMIXER_INF,
  /** Rounds of sampling without replacement, as in GRIN and Phi-3.5-MoE. */
  SPARSEMIXER_V2,
  /** Any quadrature in place of the mid-point. */
  SPARSEMIXER_ODE,
  SOFTMAX_TOPK,
  GSHARD,
  EXPERT_CHOICE,
  BASE,
  SINKHORN,
  HASH,
  XMOE,
  DEEPSEEK_V3,
  RELU,
  /** All experts, weighted by a softmax. */
  DENSE,
  STRAIGHT_THROUGH,
  ST_GUMBEL,
  REINMAX,
  REINFORCE,
  /** Kool, Maddison and Mnih: datapoints over capacity are skipped and the others reweighted. */
  SKIP,
  /** Kool, Maddison and Mnih: perfectly balanced assignments are sampled. */
  GUMBEL_MATCHING,
  /** No gate: slot s to expert s mod E, whatever the logits; for measurements. */
  BALANCED;

  /** Whether {@code gate.top_k} may be more than one. */
  public boolean hasTopK() {
    return switch (this) {
      case SPARSEMIXER_V2,
          SOFTMAX_TOPK,
          EXPERT_CHOICE,
          SINKHORN,
          XMOE,
          DEEPSEEK_V3,
          RELU,
          BALANCED ->
          true;
      default -> false;
    };
  }

  /** Whether every token goes to every expert, so that there is nothing to drop or to balance. */
  public boolean asksAllExperts() {
    return switch (this) {
      case DENSE, STRAIGHT_THROUGH, ST_GUMBEL, REINMAX -> true;
      default -> false;
    };
  }

  /** Whether the load-balancing loss is part of the method. */
  public boolean hasBalanceLoss() {
    return switch (this) {
      case EXPERT_CHOICE, BASE, SINKHORN, HASH, DEEPSEEK_V3, RELU, GUMBEL_MATCHING -> false;
      default -> !asksAllExperts();
    };
  }
}
