package troupe.coordinator.lab;

import java.util.Arrays;
import java.util.List;
import troupe.core.config.GateConfig;
import troupe.core.config.GateConfig.Mask;
import troupe.core.config.GateType;
import troupe.core.config.RunConfig;
import troupe.core.config.RunConfig.DropOrder;
import troupe.router.gate.Capacity;
import troupe.router.gate.CounterDraws;
import troupe.router.gate.Draws;
import troupe.router.gate.Gate;
import troupe.router.gate.GateInput;
import troupe.router.gate.GateState;
import troupe.router.gate.Gates;

/**
 * A gate whose estimator is measured: the gate that a training with this config would have.
 *
 * @param gated whether outputs are multiplied by their probability, in training
 */
record Contender(Gate gate, boolean gated, Capacity capacity) {
  /** The gate of an arm, with so much jitter among so many experts. */
  static Contender of(RunConfig base, Arm arm, int experts, double jitter) {
    RunConfig config =
        arm.config(base, List.of("gate.jitter=" + jitter, "experts.count=" + experts));
    return new Contender(
        Gates.of(config.gate()), isGated(config), capacityOf(config.gate().type()));
  }

  private static boolean isGated(RunConfig config) {
    return switch (config.gate().type()) {
      case STRAIGHT_THROUGH, ST_GUMBEL, REINMAX -> false;
      case REINFORCE, SKIP, GUMBEL_MATCHING -> config.gate().reinforce().gated();
      default -> true;
    };
  }

  /** The even share for those whose subject is capacity; the others have no limit. */
  private static Capacity capacityOf(GateType type) {
    return isLimited(type) ? new Capacity(1, 1, DropOrder.SHUFFLED) : Capacity.DROPLESS;
  }

  private static boolean isLimited(GateType type) {
    return type == GateType.SKIP || type == GateType.GUMBEL_MATCHING;
  }

  /** Whether jitter changes anything: the noise of Switch, or the width of a mask. */
  static boolean usesJitter(GateConfig gate) {
    return switch (gate.type()) {
      case SWITCH -> true;
      case SPARSEMIXER,
          SPARSEMIXER_1ST,
          SPARSEMIXER_2ND,
          SPARSEMIXER_INF,
          SPARSEMIXER_V2,
          SPARSEMIXER_ODE,
          STRAIGHT_THROUGH,
          ST_GUMBEL,
          REINMAX,
          REINFORCE ->
          gate.mask() != Mask.NONE;
      default -> false;
    };
  }

  /**
   * Whether the gate can be measured on so many tokens. Balanced assignments need as many for each
   * expert; with a single place their weights have infinite variance.
   */
  static boolean fits(GateType type, int tokens, int experts) {
    return type != GateType.GUMBEL_MATCHING || (tokens % experts == 0 && tokens >= 2 * experts);
  }

  GateInput input(Problem problem, Draws draws, boolean training) {
    GateInput input =
        GateInput.of(problem.logits_TE(), problem.tokens(), problem.experts(), draws, training)
            .with(training ? capacity : Capacity.DROPLESS);
    GateState state = gate.state();
    if (state == null) {
      return input;
    }
    double[] initial = new double[state.size(problem.experts())];
    Arrays.fill(initial, state.initial());
    return input.with(initial);
  }

  /** Pass number {@code n} of training. */
  GatePass pass(Problem problem, long seed, int n) {
    return GatePass.of(problem, gate, input(problem, new CounterDraws(seed, n, 0, 0), true));
  }
}
