package troupe.coordinator;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

final class PatienceTest {
  private static final long SECOND_NS = 1_000_000_000L;

  private final Patience patience = new Patience(10, 0);

  @Test
  void shouldBeOverOnceForEachDeadlineAndExhaustedAfterThree() {
    for (int deadline = 1; deadline <= 3; deadline++) {
      assertFalse(patience.isExhausted());
      assertFalse(patience.isOver(deadline * 10 * SECOND_NS - 1, false));
      assertTrue(patience.isOver(deadline * 10 * SECOND_NS, false));
      assertFalse(patience.isOver(deadline * 10 * SECOND_NS, false));
    }
    assertTrue(patience.isExhausted());
    assertEquals(30, patience.waitedSeconds(30 * SECOND_NS));
  }

  @Test
  void shouldWaitAnewWhenSomethingMoves() {
    assertTrue(patience.isOver(10 * SECOND_NS, false));
    patience.moved(11 * SECOND_NS);
    assertFalse(patience.isOver(20 * SECOND_NS, false));
    assertTrue(patience.isOver(21 * SECOND_NS, false));
  }

  @Test
  void shouldWaitInAStepAsLongAsStepsTake() {
    patience.took(SECOND_NS);
    assertEquals(5, patience.timeout().toSeconds());
    assertFalse(patience.isOver(5 * SECOND_NS, false));
    assertTrue(patience.isOver(5 * SECOND_NS, true));
  }
}
