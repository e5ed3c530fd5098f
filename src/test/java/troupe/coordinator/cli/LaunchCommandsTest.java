package troupe.coordinator.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import troupe.core.checkpoint.RunLock;

/** The verbs that start clusters, up to the point where they would. */
final class LaunchCommandsTest {
  @TempDir private Path folder;
  private Path config;
  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  @BeforeEach
  void writeConfig() throws IOException {
    config =
        Files.writeString(
            folder.resolve("tiny.conf"), "run.dir = \"" + folder.resolve("run") + "\"");
  }

  private int troupe(String line) {
    String[] words = line.replace("CONFIG", config.toString()).split(" +");
    return Troupe.commandLine(new PrintWriter(out), new PrintWriter(err)).execute(words);
  }

  @ParameterizedTest
  @ValueSource(strings = {"launch", "chaos", "bench nodes"})
  void shouldTeachByExample(String verb) {
    assertEquals(0, troupe(verb + " --help"));
    assertTrue(out.toString().contains("troupe " + verb + " "), out::toString);
    assertTrue(out.toString().contains("configs/cluster-local.conf"), out::toString);
    assertTrue(out.toString().contains("Exit codes:"), out::toString);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "launch CONFIG | Missing required option: '--nodes=N'",
        "launch --nodes 0 CONFIG | --nodes: 0 (expected: >= 1)",
        "launch --nodes many CONFIG | Invalid value for option '--nodes'",
        "launch --nodes 2 CONFIG.missing | (expected: a readable file)",
        "launch --nodes 2 CONFIG train.stesp=3 | train.stesp",
        "launch --nodes 2 CONFIG cluster.name=a | cluster.name: one value for 2 nodes",
        "launch --nodes 9 CONFIG cluster.port=65530 | cluster.port: 65530 (expected: from 1 to 65527",
        "chaos CONFIG --minutes 5 | Missing required option: '--seed=<seed>'",
        "chaos CONFIG --seed 1 --minutes 0 | --minutes: 0.0 (expected: > 0)",
        "chaos CONFIG --seed 1 --minutes 5 --nodes 2 | --nodes: 2 (expected: >= 3",
        "bench nodes | Missing required parameter",
        "bench nodes CONFIG --nodes 1 | --nodes: 1 (expected: >= 2)",
        "bench nodes CONFIG --pairs 0 | --pairs: 0 (expected: >= 1)",
        "bench nodes CONFIG --steps 0 | --steps: 0 (expected: >= 1)",
        "bench nodes CONFIG --warmup 0 | --warmup: 0 (expected: >= 1)",
        "bench nodes CONFIG --steps many | Invalid value for option '--steps'",
        "bench nodes CONFIG.missing | (expected: a readable file)",
        "bench nodes CONFIG cluster.threads=3 | cluster.threads: 3 (expected: a multiple of --nodes 2",
        "bench nodes CONFIG cluster.threads=2 replicate.every=0 | replicate.every: 0 (expected: >= 1",
        "bench nodes CONFIG cluster.threads=2 cluster.name=a | cluster.name: one value for 2 nodes",
        "bench | bench: nothing named (expected: train, moe-layer, attention, kernels, control or nodes)",
        "chaos CONFIG --seed 1 --minutes 5 --reference 12 | --reference: 12 (expected: 64 hex",
      })
  void shouldAnswerAMistakeInTwoLines(String line, String answer) {
    assertEquals(2, troupe(line), err::toString);
    assertTrue(err.toString().startsWith("error: "), err::toString);
    assertTrue(err.toString().contains(answer), err::toString);
    assertTrue(err.toString().contains("\nHINT: "), err::toString);
  }

  @ParameterizedTest
  @ValueSource(strings = {"launch --nodes 1 CONFIG", "chaos CONFIG --seed 1 --minutes 1 --nodes 3"})
  void shouldRefuseARunThatIsLaunchedAlready(String line) {
    try (RunLock _ = RunLock.acquire(folder.resolve("run"), "launch.lock")) {
      assertEquals(2, troupe(line));
      assertTrue(
          err.toString().contains("is in use by process " + ProcessHandle.current().pid()),
          err::toString);
    }
  }

  @Test
  void shouldSuggestTheVerb() {
    assertEquals(2, troupe("lanuch"));
    assertTrue(err.toString().contains("did you mean launch?"), err::toString);
  }
}
