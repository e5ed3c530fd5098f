package troupe.coordinator.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import troupe.coordinator.bench.MoeLayerBench;

/** The verbs of bench that measure a device, on the processor and at small sizes. */
@Timeout(120)
class BenchDeviceCommandsTest {
  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  private int execute(String... arguments) {
    return Troupe.commandLine(new PrintWriter(out), new PrintWriter(err)).execute(arguments);
  }

  private JsonObject json() {
    return JsonParser.parseString(out.toString().lines().toList().getLast()).getAsJsonObject();
  }

  private static void assertPositive(JsonObject json, String... keys) {
    for (String key : keys) {
      assertTrue(json.get(key).getAsDouble() > 0, () -> key + ": " + json);
    }
  }

  @Test
  void shouldTimeAttention() {
    int code =
        execute(
            ("bench attention --device cpu --batch 2 --seq 16 --heads 2 --head-size 8"
                    + " --warmup 0 --repeats 2")
                .split(" "));
    assertEquals(0, code, err::toString);
    JsonObject json = json();
    assertEquals("attention", json.get("bench").getAsString());
    assertEquals("cpu", json.get("device").getAsString());
    assertEquals(16, json.get("seq").getAsInt());
    for (String pass : List.of("forward", "backward", "both")) {
      assertPositive(json, pass + "_ms", pass + "_min_ms", pass + "_tflop_per_s");
    }
  }

  @Test
  void shouldCompareKernelsWithTwoCeilings() {
    int code = execute("bench kernels --device cpu --scale 4096 --warmup 0 --repeats 1".split(" "));
    assertEquals(0, code, err::toString);
    JsonObject json = json();
    assertEquals(8, json.get("tokens").getAsInt());
    assertPositive(json, "copy_gb_per_s", "product_tflop_per_s", "product_size");
    for (JsonElement kernel : json.getAsJsonArray("memory")) {
      assertPositive(kernel.getAsJsonObject(), "ms", "gb_per_s", "share");
    }
    for (JsonElement kernel : json.getAsJsonArray("compute")) {
      assertPositive(kernel.getAsJsonObject(), "ms", "tflop_per_s", "share");
    }
    for (String kernel : List.of("adamw", "crossEntropy", "combine", "head", "attentionBackward")) {
      assertTrue(out.toString().contains("\n" + kernel + " "), kernel);
    }
  }

  @Test
  void shouldTimeStepsOfBothRouters() {
    String config = Path.of("..", "configs", "golden.conf").toString();
    int code = execute("bench", "train", config, "device=cpu", "cluster.threads=1");
    assertEquals(0, code, err::toString);
    assertPositive(json(), "tokens_per_s", "step_ms", "balanced_tokens_per_s", "balanced_step_ms");
    assertTrue(out.toString().contains("\nreal router "), out::toString);
    assertTrue(out.toString().contains("\nforced balanced "), out::toString);
    assertTrue(out.toString().contains("share of 1 threads"), out::toString);
  }

  @Test
  void shouldReportALayerWithBothRouters() {
    MoeLayerBench.Result result =
        new MoeLayerBench.Result(
            new MoeLayerBench.Shape(1000, 10, 100, 4),
            "gpu",
            new MoeLayerBench.Timing(new double[] {4, 3, 5}, 1.25),
            new MoeLayerBench.Timing(new double[] {2, 2, 1}, 1),
            Map.of("route", 1.0, "idle", 3.0));
    BenchMoeLayerCommand.report(new PrintWriter(out), result);
    JsonObject json = json();
    assertEquals(4, json.get("ms").getAsDouble());
    assertEquals(3, json.get("min_ms").getAsDouble());
    assertEquals(2, json.get("balanced_ms").getAsDouble());
    assertEquals(12e6 / 4e-3 / 1e12, json.get("tflop_per_s").getAsDouble(), 1e-9);
    assertEquals(1.25, json.get("imbalance").getAsDouble());
    assertTrue(out.toString().contains("75.0 %"), out::toString);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          bench moe-layer --device cpu --tokens 8 | error: device: cpu (expected: one that routes
          bench moe-layer --top-k 2               | error: --top-k: 2 (expected: 1
          bench moe-layer --experts 0             | error: --experts: 0 (expected: >= 1)
          bench moe-layer --device tpu            | error: device: tpu (expected:
          bench kernels --device cpu --scale 3    | error: --scale: 3 (expected:
          bench attention --repeats 0             | error: --repeats: 0 (expected: >= 1)
          bench                                   | error: bench: nothing named (expected: train
          """)
  void shouldSayWhatWorksInstead(String command, String message) {
    assertEquals(2, execute(command.split(" ")));
    assertTrue(err.toString().startsWith(message), err::toString);
    assertTrue(err.toString().contains("HINT: "), err::toString);
  }
}
