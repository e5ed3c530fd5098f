package troupe.router.gate;

import java.util.ArrayList;
import java.util.List;
import troupe.core.config.GateConfig;
import troupe.core.config.GateType;

/**
 * The same tokens under several capacities. Most gates choose experts before anybody asks how much
 * room these have: they choose once, and only places are given out anew. The others choose again.
 */
public final class CapacitySweep {
  private final Gate gate;
  private final boolean choosesAnyway;

  /** A sweep of the gate that a config describes. */
  public CapacitySweep(GateConfig config) {
    this.gate = Gates.of(config);
    this.choosesAnyway = choosesWithoutCapacity(config.type());
  }

  /** The gate. */
  public Gate gate() {
    return gate;
  }

  /**
   * Routes under each capacity, in their order. Expert and place of each slot are those that the
   * gate alone would give; multipliers are those of dropless routing where it does not look at
   * capacity.
   */
  public List<Routing> route(GateInput input, List<Capacity> capacities) {
    List<Routing> routings = new ArrayList<>();
    Routing chosen = choosesAnyway ? gate.route(input.with(Capacity.DROPLESS)) : null;
    for (Capacity capacity : capacities) {
      GateInput limited = input.with(capacity);
      routings.add(chosen == null ? gate.route(limited) : placed(limited, chosen));
    }
    return routings;
  }

  private static Routing placed(GateInput input, Routing chosen) {
    if (input.capacity().isDropless()) {
      return chosen;
    }
    return chosen.with(Places.of(input, chosen.firstSlot_T1(), chosen.wanted_S(), chosen.p_TE()));
  }

  /** Gates that are known to; a test holds each of them to it. */
  static boolean choosesWithoutCapacity(GateType type) {
    return switch (type) {
      case SWITCH,
          SPARSEMIXER,
          SPARSEMIXER_1ST,
          SPARSEMIXER_2ND,
          SPARSEMIXER_INF,
          SPARSEMIXER_V2,
          SPARSEMIXER_ODE,
          SOFTMAX_TOPK,
          SINKHORN,
          HASH,
          XMOE,
          DEEPSEEK_V3,
          RELU,
          REINFORCE,
          BALANCED ->
          true;
      case GSHARD,
          EXPERT_CHOICE,
          BASE,
          DENSE,
          STRAIGHT_THROUGH,
          ST_GUMBEL,
          REINMAX,
          SKIP,
          GUMBEL_MATCHING ->
          false;
    };
  }
}
