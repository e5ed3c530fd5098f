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
import java.util.Optional;
import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import troupe.coordinator.bench.MoeLayerBench;
import troupe.coordinator.bench.StepProfile;
import troupe.coordinator.bench.TrainBench;
import troupe.core.config.ConfigLoader;
import troupe.core.config.RunConfig;
import troupe.core.tensor.cuda.GpuRecording;
import troupe.core.tensor.cuda.driver.GpuActivity;

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
  void shouldRefuseATimelineOfWhatIsNoGpu() {
    String config = Path.of("..", "configs", "golden.conf").toString();
    int code = execute("bench", "train", config, "device=cpu", "--timeline", "target/t.json");
    assertEquals(2, code);
    assertTrue(err.toString().contains("device cpu (expected: a GPU)"), err::toString);
    assertEquals(2, execute("bench", "train", config, "--timeline", "absent/t.json"));
    assertTrue(err.toString().contains("HINT: mkdir -p "), err::toString);
  }

  @Test
  void shouldReportWhenGpusWereIdle() {
    GpuRecording recording =
        new GpuRecording(
            List.of(
                new GpuActivity(GpuActivity.Kind.KERNEL, "gate", 0, 7, 0, 40_000_000, 0),
                new GpuActivity(GpuActivity.Kind.KERNEL, "adamw", 0, 8, 50_000_000, 95_000_000, 0),
                new GpuActivity(GpuActivity.Kind.KERNEL, "gate", 1, 7, 0, 80_000_000, 0),
                new GpuActivity(
                    GpuActivity.Kind.PEER_COPY, "copy", 1, 9, 80_000_000, 90_000_000, 8)),
            0,
            100_000_000,
            3);
    TrainBench.Result result =
        new TrainBench.Result(
            new double[] {9},
            new double[0],
            OptionalDouble.of(1.0213),
            1000,
            1,
            2,
            StepProfile.of(recording, 10, 10),
            Optional.empty());
    RunConfig run = ConfigLoader.load(Path.of("..", "configs", "golden.conf"), List.of());
    new BenchTrainReport(new PrintWriter(out), run, result).print();
    JsonObject json = json();
    assertEquals("cupti", json.get("profiler").getAsString());
    assertEquals(0.15, json.get("idle").getAsDouble());
    assertEquals("[0.15,0.1]", json.get("idle_by_gpu").toString());
    assertEquals("[0.15,0.2]", json.get("outside_kernels_by_gpu").toString());
    assertEquals(0.175, json.get("outside_kernels").getAsDouble());
    assertEquals(12, json.getAsJsonObject("kernel_ms").get("gate").getAsDouble());
    assertEquals(3, json.get("lost_activities").getAsLong());
    assertEquals(1.021, json.get("device_imbalance").getAsDouble());
    for (String line :
        List.of(
            "layers wait for the device with most rows: 1.021 times an even load",
            "gate                               12.00    60.0 %",
            "  of which idle                     1.50    15.0 %   nothing ran: 1.00 before adamw",
            "step                               10.00   median of the profiled steps; 9.00 of")) {
      assertTrue(out.toString().contains(line), out::toString);
    }
  }

  @Test
  void shouldReportALayerWithBothRouters() {
    MoeLayerBench.Result result =
        new MoeLayerBench.Result(
            new MoeLayerBench.Shape(1000, 10, 100, 4, 1),
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
          bench moe-layer --top-k 9               | error: --top-k: 9 (expected: at most 8 of 8 experts)
          bench moe-layer --top-k 0               | error: --top-k: 0 (expected: >= 1
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
