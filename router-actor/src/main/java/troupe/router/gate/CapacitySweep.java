package troupe.router.gate;

import java.util.List;
import troupe.core.config.GateConfig;
import troupe.core.config.GateType;

/**
 * The same tokens under several capacities. Most gates choose experts before anybody asks how much
 * room these have: they choose once, and only places are given out anew. The others choose again.
 * Of many experts, probabilities are most of the work: they are made only where a place depends on
 * them.
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
   * Routes under each factor of the input's capacity, in their order. Expert and place of each slot
   * are those that the gate alone would give; nothing else is in these {@link Routing#ofPlaces
   * routings}.
   */
  public List<Routing> route(GateInput input, List<Double> factors) {
    Capacity capacity = input.capacity();
    if (!choosesAnyway) {
      return factors.stream()
          .map(factor -> alone(input.with(capacity.withFactor(factor))))
          .toList();
    }
    GateInput unlimited = input.with(Capacity.DROPLESS);
    Wishes wishes =
        capacity.asksForProbabilities() ? Wishes.of(gate.route(unlimited)) : gate.wish(unlimited);
    Turns turns = new Turns(input, wishes);
    return factors.stream()
        .map(factor -> Places.of(turns, capacity.withFactor(factor)))
        .map(places -> Routing.ofPlaces(input, wishes, places))
        .toList();
  }

  private Routing alone(GateInput input) {
    Routing routing = gate.route(input);
    Places places = new Places(routing.expert_S(), routing.placed_S());
    return Routing.ofPlaces(input, Wishes.of(routing), places);
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
