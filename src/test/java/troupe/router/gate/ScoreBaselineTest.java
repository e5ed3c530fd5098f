package troupe.router.gate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;

import org.junit.jupiter.api.Test;
import troupe.core.config.RunConfig.Baseline;
import troupe.core.config.RunConfig.Reinforce;

/** What the loss of a choice is compared with. */
class ScoreBaselineTest {
  private static final double[] NONE = {};
  private static final double[] LOSS_T = {1, 3, 5, 7, 2, 4};

  private static ScoreBaseline baseline(Baseline type) {
    return new ScoreBaseline(new Reinforce(type, 2.5, 0.9, false));
  }

  @Test
  void shouldBeTheValueWhenConstant() {
    ScoreBaseline constant = baseline(Baseline.CONSTANT);
    assertNull(constant.state());
    assertArrayEquals(
        new double[] {2.5, 2.5, 2.5, 2.5, 2.5, 2.5},
        constant.each(Feedback.Losses.of(LOSS_T, 2, 6), NONE));
  }

  @Test
  void shouldBeTheMeanOfTheOtherSequencesWhenOneIsLeftOut() {
    ScoreBaseline leaveOneOut = baseline(Baseline.LEAVE_ONE_OUT);
    assertNull(leaveOneOut.state());
    assertArrayEquals(
        new double[] {4.5, 4.5, 2.5, 2.5, 4, 4},
        leaveOneOut.each(Feedback.Losses.of(LOSS_T, 2, 6), NONE),
        1e-15);
    assertArrayEquals(
        new double[] {2.5, 2.5, 2.5, 2.5, 2.5, 2.5},
        leaveOneOut.each(Feedback.Losses.of(LOSS_T, 6, 6), NONE));
    assertEquals(0, leaveOneOut.each(Feedback.Losses.of(NONE, 2, 6), NONE).length);
  }

  @Test
  void shouldMoveTowardsTheLossOfTheStepWhenAveraging() {
    ScoreBaseline ema = baseline(Baseline.EMA);
    GateState kept = ema.state();
    assertSame(ema, kept);
    assertEquals(1, kept.size(4));
    assertEquals(2.5, kept.initial());
    double[] state = {kept.initial()};
    Gate gate = new SkipGate(new Reinforce(Baseline.EMA, 2.5, 0.9, false));
    double[] change = new double[1];
    // Two micro-batches of three sequences and of one.
    addChange(change, gate, LOSS_T, 2, 8);
    addChange(change, gate, new double[] {6, 8}, 2, 8);
    double mean = (1 + 3 + 5 + 7 + 2 + 4 + 6 + 8) / 8.0;
    state[0] -= kept.rate() * change[0];
    assertEquals(0.9 * 2.5 + 0.1 * mean, state[0], 1e-15);
    assertArrayEquals(
        new double[] {state[0], state[0]},
        ema.each(Feedback.Losses.of(new double[] {9, 9}, 2, 2), state));
  }

  private static void addChange(
      double[] change, Gate gate, double[] loss_T, int span, long tokens) {
    int n = loss_T.length;
    GateInput input =
        GateInput.of(new double[n * 2], n, 2, new CounterDraws(1, 1, 0, 0), true)
            .with(new double[] {2.5});
    gate.state()
        .addChange(
            change,
            input.state(),
            gate.route(input),
            new Feedback(new double[n], Feedback.Losses.of(loss_T, span, tokens), null, tokens));
  }
}
