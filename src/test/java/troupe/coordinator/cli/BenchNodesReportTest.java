package troupe.coordinator.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import troupe.coordinator.bench.NodesPlan;
import troupe.coordinator.bench.NodesResult;
import troupe.coordinator.bench.RunTiming;
import troupe.coordinator.bench.Spread;
import troupe.core.config.ConfigLoader;

final class BenchNodesReportTest {
  private static final NodesPlan PLAN =
      new NodesPlan(
          ConfigLoader.parse("cluster.threads = 2", List.of()),
          Path.of("unread.conf"),
          List.of(),
          2,
          1,
          100,
          2);

  /** Two steps of 2048 tokens in 190 ms. */
  private static RunTiming timing(double elapsedMs, double transportPercent, String hash) {
    return new RunTiming(2_048, new double[] {90, 100}, elapsedMs, transportPercent, hash);
  }

  private static BenchNodesReport report(String hashOfMany) {
    return new BenchNodesReport(
        PLAN,
        new NodesResult(
            List.of(
                new NodesResult.Pair(
                    Map.of(
                        Spread.ONE, timing(200, 0, "a"),
                        Spread.MANY, timing(250, 4.5, hashOfMany),
                        Spread.COPIES, timing(500, 5.4, "a"))))));
  }

  @Test
  void shouldPutEachWayInAColumnAndInALine() {
    List<String> lines = report("a").table().lines().toList();
    assertTrue(
        lines.contains("     1      20,480      16,384       8,192     80.0 %       50.0 %"),
        lines::toString);
    assertTrue(
        lines.contains("one         20,480       95.00          5.0 %           -"),
        lines::toString);
    assertTrue(
        lines.contains("many        16,384       95.00         24.0 %       4.5 %"),
        lines::toString);
  }

  @Test
  void shouldGiveProgramsTheSame() {
    JsonObject json = JsonParser.parseString(report("a").json()).getAsJsonObject();
    assertEquals(0.8, json.get("many_over_one").getAsDouble());
    assertEquals(0.5, json.get("copies_over_many").getAsDouble());
    assertEquals(16_384, json.getAsJsonObject("many").get("tokens_per_s").getAsLong());
    assertEquals(0.24, json.getAsJsonObject("many").get("between_steps").getAsDouble());
    assertEquals(0.045, json.getAsJsonObject("many").get("transport").getAsDouble());
    assertTrue(json.get("same_hash").getAsBoolean());
    assertFalse(report("b").json().contains("\"same_hash\":true"));
  }
}
