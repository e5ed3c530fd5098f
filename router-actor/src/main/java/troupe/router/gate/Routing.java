package troupe.router.gate;

import java.util.Arrays;

/**
 * What a gate decided for the tokens of a micro-batch. A slot is a token's claim on an expert; the
 * slots of token t are {@code firstSlot_T1[t]} to {@code firstSlot_T1[t + 1]}, best first, at most
 * one for each expert. Most gates have k for every token, some as many as it takes.
 *
 * @param firstSlot_T1 first slot of each token, and the number S of slots at the end
 * @param logits_TE the logits as used (after logit jitter)
 * @param p_TE the probabilities that the balance loss evens out, zero for experts that a mask
 *     excludes: softmax over the kept experts for most gates
 * @param kept_TE which experts a mask kept, {@code null} if all are kept
 * @param wanted_S the expert that the gate chose for each slot, before capacity
 * @param expert_S the expert that each slot goes to: the wanted one, or where it was rerouted; the
 *     same array if none was
 * @param placed_S whether the expert had room, {@code null} if every slot has a place
 * @param scale_S the detached scale {@code a} in [0, 1] of each slot
 * @param multiplier_S what the expert's output is multiplied by
 * @param backwardMultiplier_S what the gradient at the expert's output is multiplied by: the same
 *     array, unless the estimator weights tokens
 * @param logitScale_TE the jitter factor of each logit, {@code null} if none was applied
 * @param estimator makes the gradient of the logits
 */
public record Routing(
    int tokens,
    int experts,
    int[] firstSlot_T1,
    double[] logits_TE,
    double[] p_TE,
    Kept kept_TE,
    int[] wanted_S,
    int[] expert_S,
    boolean[] placed_S,
    double[] scale_S,
    double[] multiplier_S,
    double[] backwardMultiplier_S,
    double[] logitScale_TE,
    Estimator estimator) {

  /** Slots of {@code k} for every token. */
  static int[] evenSlots(int tokens, int k) {
    int[] firstSlot_T1 = new int[tokens + 1];
    for (int t = 0; t <= tokens; t++) {
      firstSlot_T1[t] = Math.multiplyExact(t, k);
    }
    return firstSlot_T1;
  }

  /** A number of ones: every slot at full scale, or every weight. */
  static double[] ones(int n) {
    double[] ones = new double[n];
    Arrays.fill(ones, 1);
    return ones;
  }

  /**
   * A routing at full scale of logits as they were given.
   *
   * @param multiplier_S what outputs are multiplied by, and gradients at them
   */
  static Routing full(
      GateInput input,
      int[] firstSlot_T1,
      double[] p_TE,
      Kept kept_TE,
      int[] wanted_S,
      Places places,
      double[] multiplier_S,
      Estimator estimator) {
    return new Routing(
        input.tokens(),
        input.experts(),
        firstSlot_T1,
        input.logits_TE(),
        p_TE,
        kept_TE,
        wanted_S,
        places.expert_S(),
        places.placed_S(),
        ones(wanted_S.length),
        multiplier_S,
        multiplier_S,
        null,
        estimator);
  }

  /**
   * Which slots go where and nothing else: no logits, probabilities, multipliers or estimator. That
   * is a few numbers a token, not a few an expert.
   */
  static Routing ofPlaces(GateInput input, Wishes wishes, Places places) {
    return new Routing(
        input.tokens(),
        input.experts(),
        wishes.firstSlot_T1(),
        null,
        null,
        null,
        wishes.wanted_S(),
        places.expert_S(),
        places.placed_S(),
        null,
        null,
        null,
        null,
        null);
  }

  /** The same decisions with other multipliers, at full scale, and under another estimator. */
  Routing with(double[] multipliers_S, double[] backwardMultipliers_S, Estimator other) {
    return new Routing(
        tokens,
        experts,
        firstSlot_T1,
        logits_TE,
        p_TE,
        kept_TE,
        wanted_S,
        expert_S,
        placed_S,
        ones(multipliers_S.length),
        multipliers_S,
        backwardMultipliers_S,
        logitScale_TE,
        other);
  }

  /** The same decisions under another estimator. */
  Routing with(Estimator other) {
    return new Routing(
        tokens,
        experts,
        firstSlot_T1,
        logits_TE,
        p_TE,
        kept_TE,
        wanted_S,
        expert_S,
        placed_S,
        scale_S,
        multiplier_S,
        backwardMultiplier_S,
        logitScale_TE,
        other);
  }

  /** Number of slots of all tokens. */
  public int slots() {
    return expert_S.length;
  }

  /** Whether a slot has a place at its expert. */
  public boolean isPlaced(int slot) {
    return placed_S == null || placed_S[slot];
  }

  /** Slots that went to another expert than the one wanted. */
  public int rerouted() {
    if (expert_S == wanted_S) {
      return 0;
    }
    int rerouted = 0;
    for (int slot = 0; slot < expert_S.length; slot++) {
      rerouted += isPlaced(slot) && expert_S[slot] != wanted_S[slot] ? 1 : 0;
    }
    return rerouted;
  }

  /**
   * Adds the gradient of the logits that flows through the outputs: {@code dLogits += ...}; balance
   * loss and z-loss are not in it.
   */
  public void backward(double[] dLogits_TE, Feedback feedback) {
    estimator.addGradient(dLogits_TE, this, feedback);
  }

  /** What the gate adds to the loss, see {@link Estimator#penalty}. */
  public double[] penalty_E() {
    return estimator.penalty(this);
  }

  /** {@link #backward(double[], Feedback)} of gates that look at {@code s} alone. */
  public void backward(double[] dLogits_TE, double[] s_S) {
    backward(dLogits_TE, Feedback.of(s_S));
  }
}
