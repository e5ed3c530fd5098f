package troupe.coordinator.lab;

import java.util.Arrays;
import java.util.SplittableRandom;
import troupe.core.config.RunConfig;
import troupe.router.gate.BalanceLoss;
import troupe.router.gate.Capacity;
import troupe.router.gate.CounterDraws;
import troupe.router.gate.Draws;
import troupe.router.gate.Feedback;
import troupe.router.gate.Gate;
import troupe.router.gate.GateInput;
import troupe.router.gate.GateState;
import troupe.router.gate.Gates;
import troupe.router.gate.Load;
import troupe.router.gate.Routing;

/**
 * A linear router and linear experts on a {@link ClusterTask}, trained through a gate of the
 * project with all points in every step. Outputs, gradients and the gate's feedback are formed as a
 * layer does it; every point is a sequence of its own. A point whose expert has no room is skipped:
 * it is left out of the loss, as in Kool, Maddison and Mnih, not predicted by nothing, as a token
 * that passes by is.
 */
final class ToyTraining {
  private static final double ROUTER_DEVIATION = 0.1;
  private static final double EXPERT_DEVIATION = 0.5;

  private final ClusterTask task;
  private final Gate gate;
  private final Capacity capacity;
  private final double balance;
  private final int experts;
  private final int width;
  private final long seed;
  private final double[] router_DE;
  private final double[] expert_ED;
  private final double[] state;
  private final Adam routerAdam;
  private final Adam expertAdam;
  private int step;

  /**
   * A training with the gate and capacity of {@code config}; {@code seed} is of start and draws.
   */
  ToyTraining(ClusterTask task, RunConfig config, long seed) {
    this.task = task;
    this.gate = Gates.of(config.gate());
    this.capacity = Capacity.of(config.experts());
    this.balance = config.gate().balanceWeight();
    this.experts = config.experts().count();
    this.width = task.x_TD()[0].length;
    this.seed = seed;
    SplittableRandom random = new SplittableRandom(seed);
    this.router_DE = Gaussians.vector(width * experts, ROUTER_DEVIATION, random);
    this.expert_ED = Gaussians.vector(experts * width, EXPERT_DEVIATION, random);
    GateState kept = gate.state();
    this.state = kept == null ? new double[0] : new double[kept.size(experts)];
    if (kept != null) {
      Arrays.fill(state, kept.initial());
    }
    double rate = config.lab().toy().learningRate();
    this.routerAdam = new Adam(router_DE.length, rate);
    this.expertAdam = new Adam(expert_ED.length, rate);
  }

  /** One step. */
  void step() {
    int points = task.points();
    Routing routing = route(capacity, new CounterDraws(seed, step++, 0, 0), true);
    double[] loss_T = new double[points];
    double[] s_S = new double[routing.slots()];
    double[] dExpert_ED = new double[expert_ED.length];
    for (int t = 0; t < points; t++) {
      double g = output(routing, t) - task.target_T()[t];
      loss_T[t] = 0.5 * g * g;
      for (int slot = routing.firstSlot_T1()[t]; slot < routing.firstSlot_T1()[t + 1]; slot++) {
        if (routing.isPlaced(slot)) {
          int expert = routing.expert_S()[slot];
          s_S[slot] = g / points * expert(expert, t);
          double df = routing.backwardMultiplier_S()[slot] * g / points;
          for (int d = 0; d < width; d++) {
            dExpert_ED[expert * width + d] += df * task.x_TD()[t][d];
          }
        }
      }
    }
    Feedback feedback = feedback(routing, loss_T, s_S);
    double[] dLogits_TE = new double[points * experts];
    routing.backward(dLogits_TE, feedback);
    if (balance > 0) {
      BalanceLoss.addGradient(dLogits_TE, routing, feedback.load_E(), balance, points);
    }
    routerAdam.step(router_DE, routerGradient(dLogits_TE));
    expertAdam.step(expert_ED, dExpert_ED);
    changeState(routing, feedback);
  }

  /**
   * As of a layer, but for skipped points: they weigh nothing, and as their loss is not known,
   * baselines see the mean of the others in its place.
   */
  private Feedback feedback(Routing routing, double[] loss_T, double[] s_S) {
    Feedback all = GatePass.feedback(gate, routing, loss_T, s_S);
    if (all.losses() == null) {
      return all;
    }
    int points = task.points();
    double sum = 0;
    int kept = 0;
    for (int t = 0; t < points; t++) {
      sum += isKept(routing, t) ? loss_T[t] : 0;
      kept += isKept(routing, t) ? 1 : 0;
    }
    double[] mean_T = loss_T.clone();
    double[] weight_T = new double[points];
    for (int t = 0; t < points; t++) {
      mean_T[t] = isKept(routing, t) ? loss_T[t] : sum / Math.max(1, kept);
      weight_T[t] = isKept(routing, t) ? 1.0 / points : 0;
    }
    return new Feedback(s_S, new Feedback.Losses(mean_T, weight_T, 1), all.load_E(), all.tokens());
  }

  private static boolean isKept(Routing routing, int t) {
    for (int slot = routing.firstSlot_T1()[t]; slot < routing.firstSlot_T1()[t + 1]; slot++) {
      if (routing.isPlaced(slot)) {
        return true;
      }
    }
    return false;
  }

  private void changeState(Routing routing, Feedback feedback) {
    GateState kept = gate.state();
    if (kept != null) {
      double[] dState = new double[state.length];
      kept.addChange(dState, state, routing.tokens(), feedback);
      for (int i = 0; i < state.length; i++) {
        state[i] -= kept.rate() * dState[i];
      }
    }
  }

  private double[] routerGradient(double[] dLogits_TE) {
    double[] dRouter_DE = new double[router_DE.length];
    for (int t = 0; t < task.points(); t++) {
      for (int d = 0; d < width; d++) {
        for (int e = 0; e < experts; e++) {
          dRouter_DE[d * experts + e] += task.x_TD()[t][d] * dLogits_TE[t * experts + e];
        }
      }
    }
    return dRouter_DE;
  }

  /** The mean loss of all points, each at the expert that the gate would take after training. */
  double loss() {
    Routing routing = route(Capacity.DROPLESS, null, false);
    double sum = 0;
    for (int t = 0; t < task.points(); t++) {
      double difference = output(routing, t) - task.target_T()[t];
      sum += 0.5 * difference * difference;
    }
    return sum / task.points();
  }

  /** The share of the points that experts would have no room for after training. */
  double overflow() {
    int over = 0;
    for (int routed : Load.routed(route(Capacity.DROPLESS, null, false))) {
      over += Math.max(0, routed - task.points() / experts);
    }
    return (double) over / task.points();
  }

  private Routing route(Capacity room, Draws draws, boolean training) {
    double[] logits_TE = new double[task.points() * experts];
    for (int t = 0; t < task.points(); t++) {
      for (int d = 0; d < width; d++) {
        for (int e = 0; e < experts; e++) {
          logits_TE[t * experts + e] += task.x_TD()[t][d] * router_DE[d * experts + e];
        }
      }
    }
    return gate.route(
        new GateInput(logits_TE, task.points(), experts, null, state, room, draws, training));
  }

  private double output(Routing routing, int t) {
    double y = 0;
    for (int slot = routing.firstSlot_T1()[t]; slot < routing.firstSlot_T1()[t + 1]; slot++) {
      double multiplier = routing.multiplier_S()[slot];
      if (routing.isPlaced(slot) && multiplier != 0) {
        y += multiplier * expert(routing.expert_S()[slot], t);
      }
    }
    return y;
  }

  private double expert(int e, int t) {
    double f = 0;
    for (int d = 0; d < width; d++) {
      f += task.x_TD()[t][d] * expert_ED[e * width + d];
    }
    return f;
  }
}
