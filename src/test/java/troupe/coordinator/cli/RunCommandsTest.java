package troupe.coordinator.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import troupe.core.checkpoint.RunLock;

/** The verbs that make and use runs, as a user calls them. */
final class RunCommandsTest {
  private static final String CONFIG =
      """
      model { d_model = 16, heads = 2, layers = 2, d_ff = 24, seq = 8 }
      experts.count = 4
      data { source = text, validation_fraction = 0.2 }
      train { batch = 8, ranks = 2, steps = 12, log_every = 4 }
      schedule.warmup_steps = 2
      evaluate { every = 6, batches = 3 }
      checkpoint { every = 5, keep = 3 }
      generate { prompts = ["owl"], tokens = 10 }
      seed = 7
      """;

  /** What the README promises of a line of metrics. */
  private static final Set<String> KEYS =
      Set.of(
          "step",
          "loss",
          "ce",
          "balance",
          "z",
          "lr",
          "grad_norm",
          "tokens_per_s",
          "dropped",
          "alive",
          "load");

  @TempDir private static Path shared;
  private static Ended trained;

  @TempDir private Path folder;
  private Path run;

  /** How a command ended, and what it printed. */
  private record Ended(int code, String out, String err) {
    void assertMistake(String... parts) {
      assertError(2, parts);
    }

    void assertError(int expected, String... parts) {
      assertEquals(expected, code, this::toString);
      assertTrue(err.contains("error: "), this::toString);
      assertTrue(err.contains("\nHINT: "), this::toString);
      assertFalse(err.contains("\tat "), this::toString);
      for (String part : parts) {
        assertTrue(err.contains(part), () -> part + " in " + this);
      }
    }
  }

  private static Ended troupe(Object... arguments) {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    int code =
        Troupe.commandLine(new PrintWriter(out), new PrintWriter(err))
            .execute(Arrays.stream(arguments).map(Object::toString).toArray(String[]::new));
    return new Ended(code, out.toString(), err.toString());
  }

  private static Ended train(Path runFolder, String... overrides) {
    List<Object> arguments =
        new ArrayList<>(
            List.of(
                "train",
                shared.resolve("tiny.conf"),
                "data.path=\"" + shared.resolve("text.txt") + "\"",
                "run.dir=\"" + runFolder + "\""));
    arguments.addAll(List.of(overrides));
    return troupe(arguments.toArray());
  }

  @BeforeAll
  static void trainOnce() throws IOException {
    Files.writeString(shared.resolve("tiny.conf"), CONFIG);
    Files.write(
        shared.resolve("text.txt"),
        IntStream.range(0, 300).mapToObj(i -> "line " + i + ": " + i * i + " owls").toList());
    trained = train(shared.resolve("run"));
  }

  @BeforeEach
  void copyRun() throws IOException {
    run = folder.resolve("run");
    try (Stream<Path> paths = Files.walk(shared.resolve("run"))) {
      for (Path path : paths.toList()) {
        Files.copy(path, run.resolve(shared.resolve("run").relativize(path)));
      }
    }
  }

  private List<Path> checkpoints() throws IOException {
    try (Stream<Path> paths = Files.list(run.resolve("checkpoints"))) {
      return paths.sorted().toList();
    }
  }

  private static List<JsonObject> metrics(Path runFolder) throws IOException {
    return Files.readAllLines(runFolder.resolve("metrics.jsonl")).stream()
        .map(line -> JsonParser.parseString(line).getAsJsonObject())
        .toList();
  }

  private static List<JsonObject> steps(Path runFolder) throws IOException {
    return metrics(runFolder).stream().filter(line -> !line.has("val_loss")).toList();
  }

  private static double validationLoss(Path runFolder) throws IOException {
    return metrics(runFolder).stream()
        .filter(line -> line.has("val_loss"))
        .toList()
        .getLast()
        .get("val_loss")
        .getAsDouble();
  }

  /** Changes one byte in the middle of a shard. */
  private static void tear(Path checkpoint) throws IOException {
    Path shard = checkpoint.resolve("trunk.safetensors");
    byte[] bytes = Files.readAllBytes(shard);
    bytes[bytes.length / 2] ^= 1;
    Files.write(shard, bytes);
  }

  @Test
  void shouldShowARunFromItsFirstStepToItsReport() throws IOException {
    assertEquals(0, trained.code(), trained::toString);
    assertEquals("", trained.err());
    assertTrue(trained.out().contains("step     1/12  loss "), trained.out());
    assertTrue(trained.out().contains("step    12/12  loss "), trained.out());
    assertTrue(trained.out().contains("step    12  validation loss "), trained.out());
    assertTrue(trained.out().contains("  owl"), trained.out());
    assertTrue(trained.out().contains(run.getFileName() + "/report.html"), trained.out());
    assertTrue(Files.readString(run.resolve("report.html")).stripTrailing().endsWith("</html>"));
    assertEquals(3, checkpoints().size());
  }

  /** A process of its own that is told to train. */
  private Process spawn(Path runFolder, String limit, String... overrides) throws IOException {
    List<String> command = new ArrayList<>(List.of("bash", "-c", limit + "exec \"$@\"", "troupe"));
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
        .filter(flag -> !flag.startsWith("-javaagent") && !flag.startsWith("-Xmx"))
        .forEach(command::add);
    command.addAll(
        List.of(
            "-Xmx512m",
            "-XX:-UsePerfData",
            "-XX:TieredStopAtLevel=1",
            "-cp",
            System.getProperty("java.class.path"),
            Troupe.class.getName(),
            "train",
            shared.resolve("tiny.conf").toString(),
            "data.path=\"" + shared.resolve("text.txt") + "\"",
            "run.dir=\"" + runFolder + "\""));
    command.addAll(List.of(overrides));
    return new ProcessBuilder(command)
        .redirectErrorStream(true)
        .redirectOutput(folder.resolve("printed").toFile())
        .start();
  }

  private Ended await(Process process) throws Exception {
    if (!process.waitFor(60, TimeUnit.SECONDS)) {
      process.destroyForcibly();
    }
    String printed = Files.readString(folder.resolve("printed"));
    return new Ended(process.waitFor(), printed, printed);
  }

  @Test
  void shouldWriteACheckpointAndSayHowToGoOnWhenInterrupted() throws Exception {
    Path endless = folder.resolve("endless");
    String[] overrides = {"train.steps=1000000", "evaluate.every=0", "checkpoint.every=0"};
    Process process = spawn(endless, "", overrides);
    Path metrics = endless.resolve("metrics.jsonl");
    for (int i = 0;
        i < 3000 && process.isAlive() && (!Files.exists(metrics) || Files.size(metrics) == 0);
        i++) {
      Thread.sleep(20);
    }
    new ProcessBuilder("kill", "-INT", Long.toString(process.pid())).start().waitFor();
    Ended ended = await(process);
    assertEquals(130, ended.code(), ended::toString);
    assertTrue(ended.out().contains("checkpoint written"), ended::toString);
    assertTrue(ended.out().contains("resume=true"), ended::toString);
    assertFalse(ended.out().contains("\tat "), ended::toString);
    int last = steps(endless).getLast().get("step").getAsInt();
    Ended eval = troupe("eval", endless, "--batches", "1");
    assertTrue(eval.out().startsWith("step " + last + " "), eval::toString);
  }

  @Test
  void shouldTrainToItsEndLoudlyWhenTheDiskTakesNoCheckpoint() throws Exception {
    // Files of at most 16 KiB: enough for metrics and log, too little for the trunk.
    Ended ended = await(spawn(folder.resolve("full"), "ulimit -f 16; ", "device=reference"));
    // What was trained is lost: that is no success.
    assertEquals(1, ended.code(), ended::toString);
    assertTrue(ended.out().contains("! checkpoint of step 5 failed: "), ended::toString);
    assertTrue(ended.out().contains("! checkpoint of step 12 failed: "), ended::toString);
    assertTrue(ended.out().contains("HINT: free disk space"), ended::toString);
    assertEquals(12, steps(folder.resolve("full")).size());
    troupe("hash", folder.resolve("full")).assertMistake("has no checkpoint yet");
  }

  @Test
  void shouldWriteOneLineOfMetricsAStepWithEveryKey() throws IOException {
    List<JsonObject> steps = steps(run);
    assertEquals(12, steps.size());
    for (int i = 0; i < 12; i++) {
      JsonObject line = steps.get(i);
      assertEquals(i + 1, line.get("step").getAsInt());
      Set<String> missing = new TreeSet<>(KEYS);
      missing.removeAll(line.keySet());
      assertEquals(Set.of(), missing);
      assertEquals(2, line.getAsJsonArray("load").size());
      for (int layer = 0; layer < 2; layer++) {
        int tokens = 0;
        for (var load : line.getAsJsonArray("load").get(layer).getAsJsonArray()) {
          tokens += load.getAsInt();
        }
        assertEquals(64, tokens);
      }
    }
  }

  @Test
  void shouldRefuseARunThatExists() throws IOException {
    byte[] before = Files.readAllBytes(run.resolve("metrics.jsonl"));
    train(run).assertMistake("already holds a run", "resume=true");
    assertEquals(before.length, Files.size(run.resolve("metrics.jsonl")));
  }

  @Test
  void shouldRefuseToResumeWhatIsNotThere() {
    train(folder.resolve("none"), "resume=true").assertMistake("holds no run");
  }

  @Test
  void shouldNameTheKeyThatDiffersWhenResumed() {
    train(run, "resume=true", "seed=8").assertMistake("seed: 8 (expected: 7)");
    train(run, "resume=true", "train.micro_batches=2")
        .assertMistake("train.micro_batches: 2 (expected: 1)");
    assertEquals(0, train(run, "resume=true", "train.log_every=1").code());
  }

  @Test
  void shouldGoOnFromTheCheckpointBeforeATornOneAndSaySo() throws IOException {
    String straight = troupe("hash", run).out();
    tear(checkpoints().getLast());
    Ended hash = troupe("hash", run);
    assertEquals(0, hash.code());
    assertNotEquals(straight, hash.out());
    assertTrue(hash.err().contains("trunk.safetensors"), hash::toString);
    Ended resumed = train(run, "resume=true");
    assertEquals(0, resumed.code(), resumed::toString);
    assertTrue(resumed.out().contains("checkpoint skipped step=12"), resumed.out());
    assertTrue(resumed.out().contains("trunk.safetensors"), resumed.out());
    assertTrue(resumed.out().contains("after step 10"), resumed.out());
    assertEquals(straight, troupe("hash", run).out());
    assertEquals(12, steps(run).size());
  }

  @Test
  void shouldFailAndDeleteNothingWhenAllCheckpointsAreTorn() throws IOException {
    for (Path checkpoint : checkpoints()) {
      tear(checkpoint);
    }
    List<Path> before = checkpoints();
    train(run, "resume=true").assertMistake("none of 3", "trunk.safetensors");
    troupe("hash", run).assertMistake("none of 3");
    assertEquals(before, checkpoints());
    assertEquals(12, steps(run).size());
  }

  @Test
  void shouldHashARunAsItsNewestCheckpoint() throws IOException {
    String hash = troupe("hash", run).out();
    assertTrue(hash.matches("[0-9a-f]{64}\\R"), hash);
    assertEquals(hash, troupe("hash", checkpoints().getLast()).out());
    assertNotEquals(hash, troupe("hash", checkpoints().getFirst()).out());
  }

  @Test
  void shouldEvaluateToTheLossThatTrainingLogged() throws IOException {
    Ended eval = troupe("eval", run);
    assertEquals(0, eval.code(), eval::toString);
    String expected =
        String.format(Locale.ROOT, "step 12  validation loss %.4f ", validationLoss(run));
    assertTrue(eval.out().startsWith(expected), () -> expected + eval);
    assertNotEquals(eval.out(), troupe("eval", run, "--batches", "1").out());
    troupe("eval", run, "--batches", "0").assertMistake("--batches: 0 (expected: >= 1)");
  }

  @Test
  void shouldGenerateTheSameFromTheSameSeedAndAlwaysTheLikeliestAtTemperatureZero() {
    String prompt = "a prompt that is longer than the eight bytes this model looks back: ";
    Ended first =
        troupe("generate", run, "--prompt", prompt, "--tokens", "12", "--temperature", "2");
    assertEquals(0, first.code(), first::toString);
    assertTrue(first.out().startsWith(prompt), first::toString);
    assertEquals(
        first.out(),
        troupe("generate", run, "--prompt", prompt, "--tokens", "12", "--temperature", "2").out());
    assertNotEquals(
        first.out(),
        troupe(
                "generate",
                run,
                "--prompt",
                prompt,
                "--tokens",
                "12",
                "--temperature",
                "2",
                "--seed",
                "5")
            .out());
    String greedy = troupe("generate", run, "--prompt", "o", "--temperature", "0").out();
    assertEquals(
        greedy,
        troupe("generate", run, "--prompt", "o", "--temperature", "0", "--seed", "5").out());
    assertEquals(
        greedy, troupe("generate", run, "--prompt", "o", "--top-k", "1", "--seed", "6").out());
  }

  @ParameterizedTest
  @CsvSource({
    "--prompt, '', prompt: empty",
    "--temperature, -1, --temperature: -1.0",
    "--temperature, NaN, --temperature: NaN",
    "--tokens, 0, --tokens: 0",
    "--top-k, -1, --top-k: -1"
  })
  void shouldRefuseToGenerateFrom(String option, String value, String message) {
    List<Object> arguments = new ArrayList<>(List.of("generate", run, option, value));
    if (!option.equals("--prompt")) {
      arguments.addAll(List.of("--prompt", "owl"));
    }
    troupe(arguments.toArray()).assertMistake(message);
  }

  @ParameterizedTest
  @ValueSource(strings = {"hash", "eval"})
  void shouldSayThatAFolderIsNoRun(String verb) {
    troupe(verb, folder).assertMistake("is not the folder of a run");
    troupe(verb, folder.resolve("absent")).assertMistake("is not the folder of a run");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "model.d_modle=16 | model.d_model",
        "train.steps=many | train.steps",
        "model.heads=3 | model.heads: 3",
        "experts.capacity_factor=-1 | experts.capacity_factor: -1",
        "train.ranks=9 | train.ranks: 9",
        "gate.type=swich | switch",
        "device=gpu9 | device",
        "data.path=/nowhere/text.txt | data.path: /nowhere/text.txt",
        "data.path=\"\" | data.path",
        "model.vocab=100 | model.vocab: 100",
        "model.seq=100000 | tokens for",
        "run.dir=/proc/nowhere | run.dir",
      })
  void shouldNameTheMistakeInAConfig(String override, String message) {
    train(folder.resolve("new"), override).assertMistake(message);
  }

  @Test
  void shouldNameTheFileThatIsNoText() throws IOException {
    Path empty = Files.writeString(folder.resolve("empty.txt"), "");
    Path latin = Files.write(folder.resolve("latin.txt"), new byte[] {'o', (byte) 0xE9, 'l', '\n'});
    Path fresh = folder.resolve("new");
    train(fresh, "data.path=\"" + empty + "\"").assertMistake("empty.txt");
    train(fresh, "data.path=\"" + latin + "\"").assertMistake("latin.txt", "UTF-8");
    // What never began does not stand in the way of the corrected command.
    assertEquals(0, train(fresh, "train.steps=2").code());
  }

  @Test
  void shouldRefuseAConfigThatIsNotThere() {
    troupe("train", folder.resolve("absent.conf")).assertMistake("absent.conf");
  }

  @Test
  void shouldRefuseARunThatAnotherOneWorksOn() {
    Path busy = folder.resolve("busy");
    try (RunLock _ = RunLock.acquire(busy)) {
      train(busy).assertMistake("process " + ProcessHandle.current().pid());
    }
  }

  @Test
  void shouldStopWhereNumbersGoWrongWithTheLastCheckpointIntact() {
    Path wild = folder.resolve("wild");
    Ended ended =
        train(
            wild,
            "schedule.learning_rate=1e30",
            "schedule.warmup_steps=0",
            "optimizer.clip=0",
            "evaluate.every=0",
            "checkpoint.every=1");
    ended.assertError(1, "step 2 is not finite: rank=", "layer=", "learning_rate");
    Ended hash = troupe("hash", wild);
    assertEquals(0, hash.code(), hash::toString);
    assertEquals("", hash.err());
  }
}
