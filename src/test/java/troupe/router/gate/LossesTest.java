package troupe.router.gate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import org.junit.jupiter.api.Test;

/** What a choice is answerable for: the rest of its sequence. */
class LossesTest {
  @Test
  void shouldAverageFromEachTokenToTheEndOfItsSequence() {
    Feedback.Losses losses = Feedback.Losses.of(new double[] {1, 2, 6, 5, 3, 1}, 3, 12);
    assertArrayEquals(new double[] {3, 4, 6, 3, 2, 1}, losses.mean_T());
    double[] expected = {3 / 12.0, 2 / 12.0, 1 / 12.0, 3 / 12.0, 2 / 12.0, 1 / 12.0};
    assertArrayEquals(expected, losses.weight_T());
  }

  @Test
  void shouldLeaveSinglesAsTheyAre() {
    Feedback.Losses losses = Feedback.Losses.of(new double[] {4, 7}, 1, 2);
    assertArrayEquals(new double[] {4, 7}, losses.mean_T());
    assertArrayEquals(new double[] {0.5, 0.5}, losses.weight_T());
  }
}
