package troupe.coordinator.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The verb that simulates, as a user calls it. */
final class SimulateCommandTest {
  private static final String CONFIG =
      """
      model { d_model = 16, heads = 2, layers = 3, d_ff = 24, seq = 8, moe_every = 2 }
      experts { count = 4, capacity_factor = 1.0, min_capacity = 0 }
      data { source = text, validation_fraction = 0.2 }
      train { batch = 16, ranks = 2, micro_batches = 2, steps = 6, log_every = 4 }
      evaluate.every = 0
      generate.prompts = []
      seed = 7
      simulate { tokens = 500, steps = 2, factors = [1.0, 0] }
      """;

  @TempDir private Path folder;
  private Path config;

  private record Ended(int code, String out, String err) {}

  private static Ended troupe(Object... arguments) {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    int code =
        Troupe.commandLine(new PrintWriter(out), new PrintWriter(err))
            .execute(Arrays.stream(arguments).map(Object::toString).toArray(String[]::new));
    return new Ended(code, out.toString(), err.toString());
  }

  @BeforeEach
  void writeConfig() throws IOException {
    config = folder.resolve("tiny.conf");
    Files.writeString(config, CONFIG + "data.path = \"" + folder.resolve("text.txt") + "\"\n");
    Files.write(
        folder.resolve("text.txt"),
        IntStream.range(0, 300).mapToObj(i -> "line " + i + ": " + i * i + " owls").toList());
  }

  private Ended train(Path run, String... overrides) {
    List<Object> arguments =
        new ArrayList<>(List.of("train", config, "run.dir=\"" + run + "\"", "gate.trace=true"));
    arguments.addAll(List.of(overrides));
    return troupe(arguments.toArray());
  }

  private Ended simulate(String... overrides) {
    List<Object> arguments =
        new ArrayList<>(
            List.of("simulate", config, "run.dir=\"" + folder.resolve("simulated") + "\""));
    arguments.addAll(List.of(overrides));
    return troupe(arguments.toArray());
  }

  private JsonObject json() throws IOException {
    return JsonParser.parseString(
            Files.readString(folder.resolve("simulated").resolve("simulate.json")))
        .getAsJsonObject();
  }

  @Test
  void shouldWriteJsonAndPageAndShowATable() throws IOException {
    Ended ended = simulate();
    assertEquals(0, ended.code, ended::toString);
    assertTrue(ended.out.contains("dropped"), ended.out);
    assertTrue(ended.out.contains("dropless"), ended.out);
    assertTrue(ended.out.contains("simulate.html"), ended.out);
    JsonObject json = json();
    assertEquals(500, json.get("tokens").getAsInt());
    JsonObject router = json.getAsJsonArray("routers").get(0).getAsJsonObject();
    assertEquals("sparsemixer", router.get("router").getAsString());
    assertEquals(2, router.getAsJsonArray("factors").size());
    String page = Files.readString(folder.resolve("simulated").resolve("simulate.html"));
    assertTrue(page.contains("default-src 'none'"), "the page may load anything");
    assertTrue(page.contains("echarts"), "the charts are missing");
    assertEquals(3, page.split("<script\\b").length - 1);
    String withoutScripts = page.replaceAll("(?s)<script>.*?</script>", "");
    assertFalse(withoutScripts.contains("src="), "the page loads something");
  }

  @ParameterizedTest
  @CsvSource({
    "sparsemixer, 1, drop",
    "sparsemixer, 1, next",
    "switch, 1, drop",
    "softmax-topk, 2, drop",
    "deepseek-v3, 2, drop",
    "hash, 1, drop"
  })
  void shouldReplayTheVeryDropsOfTheRun(String gate, int k, String overflow) throws IOException {
    Path run = folder.resolve("run");
    String[] same = {"gate.type=" + gate, "gate.top_k=" + k, "experts.overflow=" + overflow};
    assertEquals(0, train(run, same).code, gate);
    long routed = 0;
    long dropped = 0;
    long rerouted = 0;
    List<Double> rates = new ArrayList<>();
    for (String line : Files.readAllLines(run.resolve("metrics.jsonl"))) {
      JsonObject step = JsonParser.parseString(line).getAsJsonObject();
      if (!step.has("ledger")) {
        continue;
      }
      long routedInStep = 0;
      long droppedInStep = 0;
      for (JsonElement layer : step.getAsJsonArray("ledger")) {
        JsonObject ledger = layer.getAsJsonObject();
        routedInStep += ledger.get("routed").getAsLong();
        droppedInStep += ledger.get("dropped").getAsLong();
        rerouted += ledger.get("rerouted").getAsLong();
      }
      routed += routedInStep;
      dropped += droppedInStep;
      rates.add((double) droppedInStep / routedInStep);
    }
    assertEquals(6, rates.size());
    List<String> arguments = new ArrayList<>(List.of(same));
    arguments.add("simulate.trace=" + run);
    arguments.add("simulate.steps=0");
    Ended ended = simulate(arguments.toArray(String[]::new));
    assertEquals(0, ended.code, ended::toString);
    assertTrue(ended.out.contains("the run itself, " + gate), ended.out);
    JsonObject factor =
        json()
            .getAsJsonArray("routers")
            .get(0)
            .getAsJsonObject()
            .getAsJsonArray("factors")
            .get(0)
            .getAsJsonObject();
    assertEquals(routed, factor.get("routed").getAsLong());
    assertEquals(dropped, factor.get("dropped").getAsLong());
    assertEquals(rerouted, factor.get("rerouted").getAsLong());
    assertTrue(dropped + rerouted > 0, "nobody was over capacity");
    assertEquals(
        rates,
        factor.getAsJsonArray("drop_rate_of_steps").asList().stream()
            .map(JsonElement::getAsDouble)
            .toList());
  }

  @Test
  void shouldSayWhatIsWrongWithATrace() throws IOException {
    assertMistake(simulate("simulate.trace=" + folder.resolve("none")), "simulate.trace", "none");
    Path run = folder.resolve("run");
    assertEquals(0, train(run, "train.steps=2").code);
    assertMistake(
        simulate("simulate.trace=" + run, "experts.count=8"), "experts.count: 8 (expected: 4");
    Path torn;
    try (Stream<Path> files = Files.list(run.resolve("trace"))) {
      torn = files.sorted().findFirst().orElseThrow();
    }
    byte[] bytes = Files.readAllBytes(torn);
    Files.write(torn, Arrays.copyOf(bytes, bytes.length - 1));
    assertMistake(simulate("simulate.trace=" + run), "torn at byte", "truncate -s");
    Files.write(torn, new byte[10]);
    assertMistake(simulate("simulate.trace=" + run), "is no trace");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "simulate.tokens=0 | simulate.tokens: 0 (expected: >= 1)",
        "simulate.factors=[] | simulate.factors: [] (expected: at least one",
        "simulate.factors=[1, many] | simulate.factors: [1, many] (expected: a list of numbers)",
        "simulate.factors=[-1] | simulate.factors: -1.0 (expected: >= 0",
        "simulate.routers=[swich] | simulate.routers: \"swich\" (expected: one of switch",
        "simulate.routers=[dense] | a gate refuses: capacity_factor: 1.0 (expected: 0",
        "simulate.steps=-1 | simulate.steps: -1 (expected: >= 0",
        "simulate.correlation=2 | simulate.correlation: 2.0 (expected: from 0 to 1)",
        "simulate.cluster.lanes=0 | simulate.cluster.lanes: 0 (expected: >= 1)",
        "simulate.cluster.node=2 | simulate.cluster.node: unknown key (nearest known: simulate.cluster.nodes)",
        "gate.top_k=9 | gate.top_k"
      })
  void shouldAnswerAMistakeInOneLine(String override, String expected) {
    assertMistake(simulate(override), expected);
  }

  @Test
  void shouldTakeOneFactorWithoutBrackets() throws IOException {
    assertEquals(0, simulate("simulate.factors=1.5").code);
    JsonObject router = json().getAsJsonArray("routers").get(0).getAsJsonObject();
    assertEquals(
        1.5, router.getAsJsonArray("factors").get(0).getAsJsonObject().get("factor").getAsDouble());
  }

  @Test
  void shouldTeachInItsHelp() {
    Ended ended = troupe("simulate", "--help");
    assertEquals(0, ended.code);
    assertTrue(ended.out.contains("simulate.trace="), ended.out);
    assertTrue(ended.out.contains("TROUPE_HEAP"), ended.out);
  }

  private static void assertMistake(Ended ended, String... parts) {
    assertEquals(2, ended.code, ended::toString);
    assertTrue(ended.err.startsWith("error: "), ended::toString);
    assertTrue(ended.err.contains("\nHINT: "), ended::toString);
    assertFalse(ended.err.contains("\tat "), ended::toString);
    for (String part : parts) {
      assertTrue(ended.err.contains(part), () -> part + " in " + ended);
    }
  }
}
