package troupe.coordinator;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import troupe.coordinator.events.Outcome;

final class CheckpointProgressTest {
  private final List<String> asked = new ArrayList<>();
  private long moved;

  private final CheckpointProgress progress =
      new CheckpointProgress(
          new CheckpointCollector() {
            @Override
            public Begun begin(int epoch, long step) {
              asked.add("begin " + step);
              return Begun.STARTED;
            }

            @Override
            public void abort(int epoch, long step, String reason) {
              asked.add("abort " + step);
            }

            @Override
            public long progress() {
              return moved;
            }
          },
          2);

  private void begin(long step) {
    assertTrue(progress.begin(1, step, () -> asked.add("collect " + step)));
  }

  private boolean ended(long step, String failure) {
    return progress.onEnded(new Coordinator.CheckpointEnded(1, step, failure, "free some space"));
  }

  @Test
  void shouldCollectEachStepOnce() {
    begin(2);
    begin(4);
    begin(4);
    assertEquals(List.of("begin 4", "collect 4"), asked);
  }

  @Test
  void shouldEndAsWantedWhenTheLastStepIsOnTheDisk() {
    begin(4);
    assertTrue(ended(4, null));
    assertTrue(progress.hasEnded(4));
    assertEquals(new Outcome.Completed(4), progress.outcome(4, new Outcome.Completed(4)));
  }

  @Test
  void shouldFailWhenTheLastStepIsNotOnTheDisk() {
    begin(4);
    assertTrue(ended(4, "disk full"));
    assertFalse(ended(4, "disk full"), "counts once");
    assertEquals(
        new Outcome.Failed(
            4,
            "step 4 is not on the disk: disk full; the newest checkpoint is that of step 2",
            "free some space"),
        progress.outcome(4, new Outcome.Completed(4)));
  }

  @Test
  void shouldSayWhetherTheWriterHasMoved() {
    assertFalse(progress.hasMoved());
    moved = 3;
    assertTrue(progress.hasMoved());
    assertFalse(progress.hasMoved());
  }

  @Test
  void shouldAbortWhatIsGivenUp() {
    begin(4);
    Outcome.Failed outcome = (Outcome.Failed) progress.giveUp(4, 30);
    assertTrue(outcome.message().contains("for 30 s; the newest is that of step 2"));
    assertEquals("abort 4", asked.getLast());
  }
}
