package troupe.coordinator;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import troupe.coordinator.events.RunEvent;

final class RunProgressTest {
  private static final long SECOND_NS = 1_000_000_000L;

  private final RunProgress progress = new RunProgress();

  private static StepReport report(long step) {
    return new StepReport(
        step, 1, 1, 0, 0, 0, 0.1, 1, 8, SECOND_NS, 0, 1, new TreeMap<>(), new TreeMap<>());
  }

  @Test
  void shouldGiveAStepUpAfterTheLastTry() {
    for (int i = 1; i < RunProgress.MAX_TRIES; i++) {
      assertFalse(progress.isLastTry());
      assertFalse(progress.failed());
    }
    assertTrue(progress.isLastTry());
    assertTrue(progress.failed());
  }

  @Test
  void shouldCountTriesAnewForEveryStep() {
    progress.failed();
    progress.failed();
    progress.failed();
    progress.committed(1, 0);
    assertFalse(progress.isLastTry());
  }

  @Test
  void shouldSayWhatInterruptionsCostSinceTheFirstOfThem() {
    progress.committed(5, SECOND_NS);
    progress.interrupted();
    progress.goOnFrom(3, 2 * SECOND_NS);
    progress.interrupted();
    progress.goOnFrom(2, 3 * SECOND_NS);
    progress.committed(3, 5 * SECOND_NS);
    assertEquals(new RunEvent.Recovered(3, 3, 4), progress.recovered(5 * SECOND_NS));
    progress.committed(4, 6 * SECOND_NS);
    assertNull(progress.recovered(6 * SECOND_NS));
  }

  @Test
  void shouldCommitADecidedStepThatAllTurnOutToHaveApplied() {
    StepReport decided = report(1);
    progress.decided(decided);
    assertSame(decided, progress.goOnFrom(1, 0));
    assertEquals(1, progress.step());
    assertNull(progress.goOnFrom(1, 0));
  }

  @Test
  void shouldForgetADecidedStepThatIsLost() {
    progress.decided(report(1));
    assertNull(progress.goOnFrom(0, 0));
    assertNull(progress.goOnFrom(1, 0));
  }

  @Test
  void shouldRememberANodeThatFailedUntilTheStepIsCommitted() {
    assertFalse(progress.hasLostNode());
    progress.lostNode();
    assertTrue(progress.hasLostNode());
    progress.committed(1, 0);
    assertFalse(progress.hasLostNode());
  }
}
