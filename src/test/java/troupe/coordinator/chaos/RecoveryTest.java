package troupe.coordinator.chaos;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;
import troupe.coordinator.chaos.Disturbance.Kind;
import troupe.coordinator.chaos.Observation.Committed;
import troupe.coordinator.chaos.Observation.Happened;

final class RecoveryTest {
  private static Happened epoch(long atMs) {
    return new Happened("epoch_began", new JsonObject(), atMs);
  }

  private static Recovery seen(Kind kind, Observation... seen) {
    Recovery recovery = new Recovery(kind, "node-1", 1_000, 20);
    for (Observation observation : seen) {
      recovery.observe(observation);
    }
    return recovery;
  }

  @Test
  void shouldCountFromTheKillToTheFirstStepOfTheNextEpoch() {
    Recovery recovery =
        seen(
            Kind.KILL_WORKER,
            new Committed(21, 1_010), // was under way
            new Happened("suspected", new JsonObject(), 3_000),
            epoch(8_000),
            new Committed(20, 9_000),
            new Committed(21, 9_100),
            new Committed(22, 9_300),
            new Committed(23, 9_400));
    FaultResult result = recovery.result(500);
    assertEquals(0.5, result.atSeconds());
    assertEquals(OptionalDouble.of(8), result.recoveredSeconds());
    assertEquals(OptionalDouble.of(8.3), result.regainedSeconds());
    assertEquals(2, result.replayed());
    assertEquals(1_000, recovery.startMs());
    assertEquals(9_300, recovery.endMs(99_000));
  }

  @Test
  void shouldCountOnlyTheGapOfAChangeInGoodOrder() {
    Recovery recovery =
        seen(
            Kind.REJOIN,
            new Committed(21, 2_000),
            new Committed(22, 5_000),
            epoch(5_400),
            new Committed(23, 6_000));
    FaultResult result = recovery.result(0);
    assertEquals(OptionalDouble.of(1), result.recoveredSeconds());
    assertEquals(OptionalDouble.of(1), result.regainedSeconds());
    assertEquals(0, result.replayed());
  }

  @Test
  void shouldWaitForNoEpochWhenAnExpertThrows() {
    Recovery recovery = seen(Kind.EXPERT_THROWS, new Committed(21, 1_250));
    assertTrue(recovery.isRegained());
    assertEquals(OptionalDouble.of(0.25), recovery.result(0).recoveredSeconds());
  }

  @Test
  void shouldNotTakeARunForRecoveredThatOnlyReplays() {
    Recovery recovery = seen(Kind.KILL_TWO, epoch(2_000), new Committed(15, 3_000));
    assertTrue(recovery.isRecovered());
    assertFalse(recovery.isRegained());
    assertFalse(recovery.result(0).isRecovered());
    assertEquals(99_000, recovery.endMs(99_000));
    assertFalse(seen(Kind.KILL_TWO, new Committed(21, 1_001)).isRecovered());
  }
}
