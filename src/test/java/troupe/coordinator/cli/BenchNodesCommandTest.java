package troupe.coordinator.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import troupe.coordinator.metrics.MetricsLog;

/** The real thing on the model of the golden tests: five JVMs, one after the other or in pairs. */
@Timeout(300)
final class BenchNodesCommandTest {
  @TempDir private Path folder;

  @Test
  @Tag("slow") // Five JVMs one after the other: a minute.
  void shouldMeasureEachWayAndEndWithTheSameBits() throws Exception {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    Path runs = folder.resolve("runs");
    int code =
        Troupe.commandLine(new PrintWriter(out), new PrintWriter(err))
            .execute(
                "bench",
                "nodes",
                Path.of("..", "configs", "golden.conf").toString(),
                "--pairs=1",
                "--warmup=2",
                "--steps=4",
                "cluster.threads=2",
                "transport.term_bytes=1048576",
                "replicate.every=2",
                "data.source=text",
                "data.validation_fraction=0.1",
                "data.path=" + Path.of("..", "README.md"),
                "run.dir=" + runs);
    assertEquals(0, code, () -> out + "\n" + err);
    assertEquals("", err.toString());
    assertTrue(out.toString().contains("\nmedian "), out::toString);
    JsonObject json =
        JsonParser.parseString(out.toString().lines().toList().getLast()).getAsJsonObject();
    assertEquals("nodes", json.get("bench").getAsString());
    assertEquals(128, json.get("tokens_per_step").getAsLong());
    assertEquals(1, json.get("replicate_copies").getAsInt());
    assertTrue(json.get("same_hash").getAsBoolean(), json::toString);
    for (String spread : new String[] {"one", "many", "copies"}) {
      JsonObject measured = json.getAsJsonObject(spread);
      assertTrue(measured.get("tokens_per_s").getAsLong() > 0, json::toString);
      assertTrue(measured.get("step_ms").getAsDouble() > 0, json::toString);
      assertTrue(
          Files.exists(runs.resolve("pair-1-" + spread).resolve(MetricsLog.FILE_NAME)), spread);
    }
    assertTrue(json.getAsJsonObject("copies").get("transport").getAsDouble() > 0, json::toString);
  }
}
