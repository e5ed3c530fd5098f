package troupe.coordinator;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;
import troupe.coordinator.Deadline.Action;

class DeadlineTest {
  private static final long MS = 1_000_000;
  private static final long SECOND = 1000 * MS;

  @Test
  void shouldFollowTheMedianOfRecentStepsWithinItsBounds() {
    Deadline deadline = new Deadline(20 * SECOND, 0);
    assertEquals(20 * SECOND, deadline.timeoutNs());
    deadline.onStep(100 * MS, 0);
    assertEquals(2 * SECOND, deadline.timeoutNs());
    deadline = new Deadline(20 * SECOND, 0);
    for (long ms : new long[] {900, 1000, 60_000}) {
      deadline.onStep(ms * MS, 0);
    }
    assertEquals(5 * SECOND, deadline.timeoutNs());
    for (int n = 0; n < 31; n++) {
      deadline.onStep(8 * SECOND, 0);
    }
    assertEquals(20 * SECOND, deadline.timeoutNs());
    deadline = new Deadline(SECOND, 0);
    deadline.onStep(1, 0);
    assertEquals(SECOND, deadline.timeoutNs());
    deadline.onStep(Long.MAX_VALUE / 2, 0);
    assertEquals(SECOND, deadline.timeoutNs());
  }

  @Test
  void shouldAskTwiceThenBeginEpochsThenStop() {
    long begin = Long.MAX_VALUE - 5 * SECOND; // System.nanoTime may wrap around.
    Deadline deadline = new Deadline(2 * SECOND, begin);
    for (int epoch = 0; epoch < 4; epoch++) {
      long at = begin + epoch * 6 * SECOND;
      assertEquals(Action.WAIT, deadline.due(at + 2 * SECOND - 1));
      assertEquals(Action.ASK_AGAIN, deadline.due(at + 2 * SECOND));
      assertEquals(Action.WAIT, deadline.due(at + 4 * SECOND - 1));
      assertEquals(Action.ASK_AGAIN, deadline.due(at + 4 * SECOND));
      assertEquals(Action.WAIT, deadline.due(at + 6 * SECOND - 1));
      assertEquals(
          epoch < 3 ? Action.NEW_EPOCH : Action.STOP, deadline.due(at + 6 * SECOND), "" + epoch);
    }
  }

  @Test
  void shouldWaitAnewAfterProgressButCountEpochsUntilAStepIsDone() {
    Deadline deadline = new Deadline(2 * SECOND, 0);
    long now = 0;
    for (int epoch = 0; epoch < 3; epoch++) {
      now = untilSomethingElseThanAsking(deadline, Action.NEW_EPOCH);
      deadline.onProgress(now);
    }
    deadline.onStep(MS, now);
    for (int epoch = 0; epoch < 3; epoch++) {
      untilSomethingElseThanAsking(deadline, Action.NEW_EPOCH);
    }
    untilSomethingElseThanAsking(deadline, Action.STOP);
  }

  @Test
  void shouldGiveThoseAskedAWholeTimeoutWhenTheCallerWasAway() {
    Deadline deadline = new Deadline(2 * SECOND, 0);
    assertEquals(Action.ASK_AGAIN, deadline.due(600 * SECOND));
    assertEquals(Action.WAIT, deadline.due(602 * SECOND - 1));
    assertEquals(602 * SECOND, deadline.nextNs());
    assertEquals(Action.ASK_AGAIN, deadline.due(602 * SECOND));
  }

  @Test
  void shouldRefuseToWaitForNothing() {
    assertThrows(IllegalArgumentException.class, () -> new Deadline(0, 0));
  }

  private static long untilSomethingElseThanAsking(Deadline deadline, Action expected) {
    assertEquals(Action.ASK_AGAIN, deadline.due(deadline.nextNs()));
    assertEquals(Action.ASK_AGAIN, deadline.due(deadline.nextNs()));
    long at = deadline.nextNs();
    assertEquals(expected, deadline.due(at));
    return at;
  }
}
