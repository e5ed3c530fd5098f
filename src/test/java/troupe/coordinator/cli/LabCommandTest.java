package troupe.coordinator.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import troupe.core.config.ConfigLoader;

/** {@code troupe lab}, as a user calls it; trainings that it starts are tested elsewhere. */
final class LabCommandTest {
  private static final Path CONFIGS = Path.of("../configs");

  @TempDir private Path folder;

  private record Ended(int code, String out, String err) {}

  private Ended lab(String config, String... overrides) {
    List<String> arguments = new ArrayList<>(List.of("lab", config, "run.dir=" + folder));
    arguments.addAll(Arrays.asList(overrides));
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    int code =
        Troupe.commandLine(new PrintWriter(out), new PrintWriter(err))
            .execute(arguments.toArray(String[]::new));
    return new Ended(code, out.toString(), err.toString());
  }

  private String empty() throws IOException {
    return Files.createFile(folder.resolve("empty.conf")).toString();
  }

  @Test
  void shouldMeasureEstimators() throws IOException {
    Ended ended =
        lab(
            empty(),
            "lab.seeds=1",
            "lab.estimators.gates=[switch, sparsemixer]",
            "lab.estimators.experts=2",
            "lab.estimators.jitters=0.1",
            "lab.estimators.base_experts=2",
            "lab.estimators.tokens=4",
            "lab.estimators.samples=5");
    assertEquals(0, ended.code, ended::toString);
    assertTrue(ended.out.contains("\nQuadratic loss\nestimator "), ended.out);
    assertTrue(ended.out.contains("report     " + folder.resolve("report.html")), ended.out);
    assertTrue(Files.exists(folder.resolve("report.html")));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "lab.kind=toy            | lab.arms: [] (expected: at least one",
        "lab.kind=toys           | expected: one of estimators, toy, ablation",
        "lab.estimators.gates=x  | \"x\": gate.type: \"x\" (expected: one of",
        "lab.estimators.experts=1 | lab.estimators.experts: [1] (expected: numbers >= 2)",
        "lab.estimators.experts=[2, x] | lab.estimators.experts: [2, x] (expected: a list",
        "lab.estimators.jitters=1 | lab.estimators.jitters: [1.0] (expected: numbers >= 0 and < 1)",
        "lab.estimators.jitters=[a] | (expected: a list of numbers)",
        "lab.toy.points=7         | lab.toy.points: 7 (expected: a multiple of",
        "lab.parallel=0           | lab.parallel: 0 (expected: >= 1)",
        "lab.estimators.gates=[\"a: b\"] | (expected: NAME: KEY=VALUE",
      })
  void shouldSayWhatIsWrong(String override, String message) throws IOException {
    Ended ended = lab(empty(), override);
    assertEquals(2, ended.code, ended::toString);
    assertTrue(ended.err.contains("error: "), ended.err);
    assertTrue(ended.err.contains(message), ended.err);
    assertTrue(ended.err.contains("\nHINT: "), ended.err);
  }

  @Test
  void shouldNotWriteIntoTheFolderOfARun() throws IOException {
    Files.createFile(folder.resolve("metrics.jsonl"));
    Ended ended = lab(empty());
    assertEquals(2, ended.code, ended::toString);
    assertTrue(ended.err.contains("already holds a run"), ended.err);
  }

  @ParameterizedTest
  @CsvSource({"estimators,ESTIMATORS", "kool-toy,TOY", "sparsemixer-ablation,ABLATION"})
  void shouldShipConfigs(String name, String kind) {
    assertEquals(
        kind, ConfigLoader.load(CONFIGS.resolve(name + ".conf"), List.of()).lab().kind().name());
  }
}
