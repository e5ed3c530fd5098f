package troupe.coordinator.chaos;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.util.List;
import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;
import troupe.coordinator.chaos.Disturbance.Kind;

final class ChaosVerdictTest {
  private static final String HASH = "ab".repeat(32);

  private static final List<FaultResult> FAULTS =
      List.of(
          fault(Kind.KILL_WORKER, 10, 8, 3),
          fault(Kind.REJOIN, 30, 1.5, 0),
          fault(Kind.KILL_WORKER, 50, 10.25, 9),
          fault(Kind.KILL_WORKER, 90, 9, 0));

  private static FaultResult fault(Kind kind, double at, double seconds, long replayed) {
    return new FaultResult(
        kind, "node-2", at, OptionalDouble.of(seconds), OptionalDouble.of(seconds + 0.5), replayed);
  }

  private static ChaosVerdict verdict(
      List<FaultResult> faults, String hash, String expected, String... problems) {
    return new ChaosVerdict(7, 5, 120, 431, 0.8125, 10, faults, hash, expected, List.of(problems));
  }

  @Test
  void shouldShowTheWholeTable() {
    assertEquals(
        """
        chaos      seed 7, 5 nodes, disturbed for 2.0 min
        steps      431 committed
        training   81.3 % of the time

        fault                count recovered   median s  worst s   replayed  worst
        kill worker              3         3        9.0     10.3         12      9
        rejoin                   1         1        1.5      1.5          0      0
        all                      4         4        8.5     10.3         12      9

        hash       equal: HASH
        verdict    held: everything recovered, to the same bits"""
            .replace("HASH", HASH),
        verdict(FAULTS, HASH, HASH).text());
  }

  @Test
  void shouldTellMachinesTheSameAndEveryFault() {
    JsonObject json = JsonParser.parseString(verdict(FAULTS, HASH, HASH).json()).getAsJsonObject();
    assertTrue(json.get("held").getAsBoolean());
    assertTrue(json.get("hash_equal").getAsBoolean());
    assertEquals(431, json.get("steps_committed").getAsLong());
    assertEquals(0.813, json.get("training_share").getAsDouble(), 1e-9);
    assertEquals(12, json.get("steps_replayed").getAsLong());
    assertEquals(9, json.get("steps_replayed_worst").getAsLong());
    JsonObject kills = json.getAsJsonObject("by_kind").getAsJsonObject("kill worker");
    assertEquals(3, kills.get("count").getAsInt());
    assertEquals(9, kills.get("recovery_s_median").getAsDouble());
    assertEquals(10.25, kills.get("recovery_s_worst").getAsDouble());
    JsonObject second = json.getAsJsonArray("faults").get(1).getAsJsonObject();
    assertEquals("rejoin", second.get("kind").getAsString());
    assertEquals("node-2", second.get("who").getAsString());
    assertEquals(2, second.get("regained_s").getAsDouble());
  }

  @Test
  void shouldNotHoldWhenTheHashesDiffer() {
    ChaosVerdict verdict = verdict(FAULTS, HASH, "cd".repeat(32));
    assertFalse(verdict.holds());
    assertTrue(verdict.text().contains("DIFFERENT: " + HASH + ", undisturbed cd"));
    assertTrue(verdict.text().endsWith("verdict    BROKEN: see above"));
  }

  @Test
  void shouldNotHoldWithoutHashesToCompare() {
    assertFalse(verdict(FAULTS, "", "").holds());
    assertFalse(verdict(FAULTS, "", HASH).holds());
    assertFalse(verdict(FAULTS, HASH, "").holds());
  }

  @Test
  void shouldNotHoldWhenAFaultWasNotRecoveredFrom() {
    FaultResult lost =
        new FaultResult(
            Kind.KILL_TWO, "node-1", 5, OptionalDouble.empty(), OptionalDouble.empty(), 0);
    ChaosVerdict verdict = verdict(List.of(lost), HASH, HASH);
    assertFalse(verdict.holds());
    assertTrue(verdict.text().contains("kill two                 1         0          -        -"));
    assertTrue(
        JsonParser.parseString(verdict.json())
            .getAsJsonObject()
            .getAsJsonArray("faults")
            .get(0)
            .getAsJsonObject()
            .get("recovered_s")
            .isJsonNull());
  }

  @Test
  void shouldNotHoldWhenAnythingElseWentWrong() {
    ChaosVerdict verdict = verdict(FAULTS, HASH, HASH, "node-3 failed (exit code 1) by itself");
    assertFalse(verdict.holds());
    assertTrue(verdict.text().contains("\nproblem    node-3 failed (exit code 1) by itself\n"));
  }
}
