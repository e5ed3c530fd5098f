package troupe.coordinator.lab;

import troupe.router.gate.Feedback;
import troupe.router.gate.Gate;
import troupe.router.gate.GateInput;
import troupe.router.gate.Load;
import troupe.router.gate.Routing;

/**
 * One pass of a gate over a problem, as a layer does it: outputs by the multipliers of the slots
 * that found a place, the loss of each token, and what the gate's estimator makes of that.
 *
 * @param loss_T loss of each token, as its slots made it
 * @param feedback what the estimator was told
 * @param dLogits_TE the estimate, of the mean loss over tokens
 */
record GatePass(Routing routing, double[] loss_T, Feedback feedback, double[] dLogits_TE) {
  static GatePass of(Problem problem, Gate gate, GateInput input) {
    Routing routing = gate.route(input);
    int tokens = problem.tokens();
    double[] loss_T = new double[tokens];
    double[] s_S = new double[routing.slots()];
    for (int t = 0; t < tokens; t++) {
      double[] y_D = output(problem, routing, t);
      loss_T[t] = problem.loss_T()[t].value(y_D);
      double[] g_D = problem.loss_T()[t].gradient(y_D);
      for (int slot = routing.firstSlot_T1()[t]; slot < routing.firstSlot_T1()[t + 1]; slot++) {
        if (routing.isPlaced(slot)) {
          s_S[slot] = Objective.dot(g_D, problem.f_TED()[t][routing.expert_S()[slot]]) / tokens;
        }
      }
    }
    Feedback feedback = feedback(gate, routing, loss_T, s_S);
    double[] dLogits_TE = new double[tokens * problem.experts()];
    routing.backward(dLogits_TE, feedback);
    return new GatePass(routing, loss_T, feedback, dLogits_TE);
  }

  /** Every token is a sequence of its own: what it is answerable for is its own loss. */
  static Feedback feedback(Gate gate, Routing routing, double[] loss_T, double[] s_S) {
    int tokens = loss_T.length;
    double[] load_E = new double[routing.experts()];
    int[] routed_E = Load.routed(routing);
    for (int e = 0; e < load_E.length; e++) {
      load_E[e] = (double) routed_E[e] / tokens;
    }
    Feedback.Losses losses = gate.needsLosses() ? Feedback.Losses.of(loss_T, 1, tokens) : null;
    return new Feedback(s_S, losses, load_E, tokens);
  }

  private static double[] output(Problem problem, Routing routing, int t) {
    double[] y_D = new double[problem.f_TED()[t][0].length];
    for (int slot = routing.firstSlot_T1()[t]; slot < routing.firstSlot_T1()[t + 1]; slot++) {
      double multiplier = routing.multiplier_S()[slot];
      if (routing.isPlaced(slot) && multiplier != 0) {
        double[] f_D = problem.f_TED()[t][routing.expert_S()[slot]];
        for (int d = 0; d < y_D.length; d++) {
          y_D[d] += multiplier * f_D[d];
        }
      }
    }
    return y_D;
  }
}
