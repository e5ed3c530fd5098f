package troupe.router.gate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import troupe.Closeness;

class LossBaselineTest {
  private static Gate gate(String overrides) {
    return Configs.parsed("gate.type=reinforce gate.mask=none " + overrides);
  }

  @Test
  void shouldTakeTheMeanOfTheOtherSequences() {
    double[] loss_T = {1, 2, 3, 4, 5, 9};
    Feedback.Losses losses = Feedback.Losses.of(loss_T, 2, 6);
    double[] baseline_T = new LeaveOneOutBaseline(7).perToken(losses, null);
    assertArrayEquals(new double[] {5.25, 5.25, 4.25, 4.25, 2.5, 2.5}, baseline_T);
  }

  @Test
  void shouldFallBackToTheConstantWhenThereIsOneSequence() {
    Feedback.Losses losses = Feedback.Losses.of(new double[] {1, 2, 3}, 3, 3);
    double[] baseline_T = new LeaveOneOutBaseline(7).perToken(losses, null);
    assertArrayEquals(new double[] {7, 7, 7}, baseline_T);
    Feedback.Losses none = Feedback.Losses.of(new double[0], 3, 3);
    assertEquals(0, new LeaveOneOutBaseline(7).perToken(none, null).length);
  }

  @Test
  void shouldMoveTheAverageByOneStepHoweverTheStepIsSplit() {
    Gate gate = gate("gate.reinforce.baseline=ema gate.reinforce.decay=0.9 gate.reinforce.value=4");
    GateState kept = gate.state();
    assertEquals(1, kept.size(8));
    assertEquals(4, kept.initial());
    double[] loss_T = new Random(1).doubles(12, 0, 5).toArray();
    double mean = Arrays.stream(loss_T).average().orElseThrow();
    for (int span : new int[] {1, 2, 3, 6}) {
      double[] change = new double[1];
      for (int from = 0; from < 12; from += 6) {
        double[] part_T = Arrays.copyOfRange(loss_T, from, from + 6);
        Routing routing = gate.route(new double[18], 6, 3, new CounterDraws(1, 1, 0, 0), true);
        Feedback feedback =
            new Feedback(new double[6], Feedback.Losses.of(part_T, span, 12), null, 12);
        kept.addChange(change, new double[] {4}, routing.tokens(), feedback);
      }
      double moved = 4 - kept.rate() * change[0];
      assertEquals(0.9 * 4 + 0.1 * mean, moved, 1e-14, "span " + span);
    }
  }

  @Test
  void shouldKeepNothingWithoutAnAverage() {
    assertNull(gate("gate.reinforce.baseline=constant").state());
    assertNull(gate("gate.reinforce.baseline=leave-one-out").state());
    assertTrue(gate("gate.reinforce.baseline=ema").needsLosses());
    assertFalse(Configs.parsed("gate.type=dense").needsLosses());
  }

  /** Two sequences of one token: every pair of choices, with its chance. */
  @ParameterizedTest
  @ValueSource(strings = {"constant", "leave-one-out", "ema"})
  void shouldBeUnbiasedOverAllChoicesOfTwoSequences(String baseline) {
    Gate gate = gate("gate.reinforce.value=1.3 gate.reinforce.baseline=" + baseline);
    int experts = 3;
    double[] logits_TE = new Random(5).doubles(2 * experts, -1, 1).toArray();
    double[] loss_TE = new Random(6).doubles(2 * experts, 0, 3).toArray();
    double[] p_TE = gate.route(logits_TE, 2, experts, null, false).p_TE();
    double[] mean_TE = new double[2 * experts];
    for (int a = 0; a < experts; a++) {
      for (int b = 0; b < experts; b++) {
        double[] dLogits_TE = gradient(gate, logits_TE, loss_TE, a, b);
        for (int i = 0; i < mean_TE.length; i++) {
          mean_TE[i] += p_TE[a] * p_TE[experts + b] * dLogits_TE[i];
        }
      }
    }
    double[] truth_TE = new double[2 * experts];
    for (int i = 0; i < truth_TE.length; i++) {
      int from = i / experts * experts;
      for (int j = from; j < from + experts; j++) {
        truth_TE[i] += 0.5 * loss_TE[j] * p_TE[j] * ((i == j ? 1 : 0) - p_TE[i]);
      }
    }
    Closeness.assertClose(baseline, truth_TE, mean_TE, 1e-12, 1e-15);
  }

  private static double[] gradient(
      Gate gate, double[] logits_TE, double[] loss_TE, int first, int second) {
    int experts = logits_TE.length / 2;
    ForcedDraws[] draws = {new ForcedDraws(first, 0, 0), new ForcedDraws(second, 0, 0)};
    Draws both = new ByToken(draws);
    GateInput input = GateInput.of(logits_TE, 2, experts, both, true).with(new double[] {0.8});
    Routing routing = gate.route(input);
    assertArrayEquals(new int[] {first, second}, routing.expert_S());
    double[] loss_T = {loss_TE[first], loss_TE[experts + second]};
    double[] dLogits_TE = new double[logits_TE.length];
    routing.backward(
        dLogits_TE, new Feedback(new double[2], Feedback.Losses.of(loss_T, 1, 2), null, 2));
    return dLogits_TE;
  }

  /** Forced draws, other ones for each token. */
  private record ByToken(Draws[] draws_T) implements Draws {
    @Override
    public double exponential(int token, int expert, int round) {
      return draws_T[token].exponential(token, expert, round);
    }

    @Override
    public double coin(int token, int round) {
      return draws_T[token].coin(token, round);
    }

    @Override
    public double scale(int token, int round) {
      return draws_T[token].scale(token, round);
    }

    @Override
    public double noise(int token, int expert) {
      return draws_T[token].noise(token, expert);
    }

    @Override
    public double inputNoise(int token, int channel) {
      return draws_T[token].inputNoise(token, channel);
    }

    @Override
    public double priority(int token) {
      return draws_T[token].priority(token);
    }
  }
}
