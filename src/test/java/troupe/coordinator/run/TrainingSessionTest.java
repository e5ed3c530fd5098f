package troupe.coordinator.run;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.LongConsumer;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import troupe.coordinator.events.Outcome;
import troupe.coordinator.host.EpochPlan;
import troupe.coordinator.metrics.MetricsLog;
import troupe.coordinator.metrics.StepMetrics;
import troupe.core.checkpoint.Checkpoints;
import troupe.core.config.RunConfig;
import troupe.core.data.Corpus;

/** Whole runs in a folder: stopped and resumed, and with a disk that does not take checkpoints. */
final class TrainingSessionTest {
  @TempDir private Path folder;
  private Path text;

  @BeforeEach
  void writeText() throws IOException {
    text = folder.resolve("text.txt");
    Files.write(
        text, IntStream.range(0, 300).mapToObj(i -> "line " + i + ": " + i * i + " owls").toList());
  }

  private RunConfig config(String name, String... overrides) {
    List<String> all =
        new ArrayList<>(
            List.of(
                "run.dir=\"" + folder.resolve(name) + "\"",
                "data.source=text",
                "data.path=\"" + text + "\"",
                "data.validation_fraction=0.2",
                "model.vocab=256",
                "train.steps=12",
                "generate.prompts=[]",
                "checkpoint.every=0"));
    all.addAll(List.of(overrides));
    return Runs.tiny(all.toArray(String[]::new));
  }

  /** Does something to a session after a step. */
  private interface OnStep {
    void committed(TrainingSession session, long step);
  }

  private static final class Observer implements TrainingSession.Observer {
    private final List<Long> steps = new ArrayList<>();
    private final List<String> notices = new ArrayList<>();
    private LongConsumer onStep;

    @Override
    public void opened(Corpus corpus) {}

    @Override
    public void placed(EpochPlan plan, String coordinator) {}

    @Override
    public synchronized void committed(StepMetrics metrics) {
      steps.add(metrics.step());
      onStep.accept(metrics.step());
    }

    @Override
    public void validated(long step, double loss) {}

    @Override
    public void generated(String generated) {}

    @Override
    public synchronized void notice(String line) {
      notices.add(line);
    }
  }

  private record Ended(Outcome outcome, Observer observer) {}

  private static Ended run(RunConfig config, OnStep onStep) throws IOException {
    Files.createDirectories(Path.of(config.run().dir()));
    Observer observer = new Observer();
    TrainingSession session = new TrainingSession(config, RunFolder.enter(config), observer);
    observer.onStep = step -> onStep.committed(session, step);
    return new Ended(session.run(), observer);
  }

  private static OnStep stopAt(long last) {
    return (session, step) -> {
      if (step == last) {
        session.stop();
      }
    };
  }

  private static final OnStep NOTHING = (session, step) -> {};

  private String hash(String name) {
    try (TrainedRun trained = TrainedRun.open(folder.resolve(name))) {
      return trained.hash();
    }
  }

  private List<Path> checkpoints(String name) throws IOException {
    return Checkpoints.list(folder.resolve(name).resolve("checkpoints"));
  }

  private List<String> metrics(String name) throws IOException {
    return Files.readAllLines(folder.resolve(name).resolve(MetricsLog.FILE_NAME));
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})
  void shouldAlwaysHaveItsLastCheckpointWhole(int steps) throws IOException {
    Ended ended = run(config("run", "train.steps=" + steps, "experts.count=16"), NOTHING);
    assertEquals(new Outcome.Completed(steps), ended.outcome());
    assertEquals(List.of(), ended.observer().notices);
    assertEquals(1, checkpoints("run").size());
  }

  @Test
  void shouldGiveTheSameBitsWhenStoppedAndResumedAsStraightThrough() throws IOException {
    run(config("straight"), NOTHING);
    long from = 0;
    for (long stop : new long[] {1, 4, 9}) {
      Ended stopped = run(config("broken", "run.resume=" + (from > 0)), stopAt(stop));
      Outcome.Stopped outcome = assertInstanceOf(Outcome.Stopped.class, stopped.outcome());
      assertTrue(outcome.step() >= stop && outcome.step() <= stop + 1, "stopped: " + outcome);
      assertEquals(List.of(), stopped.observer().notices);
      assertEquals(from + 1, stopped.observer().steps.getFirst(), "the first step after resume");
      from = outcome.step();
    }
    Ended ended = run(config("broken", "run.resume=true"), NOTHING);
    assertEquals(new Outcome.Completed(12), ended.outcome());
    assertEquals(hash("straight"), hash("broken"));
    assertEquals(LongStream.rangeClosed(1, 12).boxed().toList(), steps(metrics("broken")));
    assertEquals(losses(metrics("straight")), losses(metrics("broken")));
  }

  private static List<Long> steps(List<String> lines) {
    return lines.stream()
        .map(line -> Long.parseLong(line.replaceFirst(".*\"step\":(\\d+).*", "$1")))
        .toList();
  }

  private static List<String> losses(List<String> lines) {
    return lines.stream().map(line -> line.replaceFirst(".*\"loss\":([^,]+),.*", "$1")).toList();
  }

  @Test
  void shouldResumeFromTheCheckpointBeforeWhenItWasKilledLater() throws IOException {
    run(config("straight"), NOTHING);
    run(config("killed", "checkpoint.every=4"), stopAt(10));
    // As if the process had died at step 10: what it wrote at the end is not there.
    Path last = checkpoints("killed").getLast();
    deleteTree(last);
    Ended ended = run(config("killed", "run.resume=true"), NOTHING);
    assertEquals(9, ended.observer().steps.getFirst());
    assertEquals(hash("straight"), hash("killed"));
    assertEquals(LongStream.rangeClosed(1, 12).boxed().toList(), steps(metrics("killed")));
  }

  private static void deleteTree(Path tree) throws IOException {
    try (var paths = Files.walk(tree)) {
      for (Path path : paths.sorted(java.util.Comparator.reverseOrder()).toList()) {
        Files.delete(path);
      }
    }
  }

  @Test
  void shouldDoNothingMoreWhenAFinishedRunIsResumed() throws IOException {
    run(config("run"), NOTHING);
    String before = hash("run");
    byte[] metrics = Files.readAllBytes(folder.resolve("run").resolve(MetricsLog.FILE_NAME));
    Ended ended = run(config("run", "run.resume=true"), NOTHING);
    assertEquals(new Outcome.Completed(12), ended.outcome());
    assertEquals(List.of(), ended.observer().steps);
    assertEquals(before, hash("run"));
    assertArrayEquals(
        metrics, Files.readAllBytes(folder.resolve("run").resolve(MetricsLog.FILE_NAME)));
  }

  @Test
  void shouldGoOnLoudlyWhenCheckpointsCannotBeWritten() throws IOException {
    Path checkpoints = folder.resolve("run").resolve("checkpoints");
    Ended ended =
        run(
            config("run", "checkpoint.every=3"),
            (session, step) -> {
              // From here on a file is where the folder should be; at the end the place is free
              // again.
              if (step == 1) {
                inTheWay(checkpoints);
              } else if (step == 10) {
                outOfTheWay(checkpoints);
              }
            });
    assertEquals(new Outcome.Completed(12), ended.outcome());
    List<String> failed =
        ended.observer().notices.stream().filter(line -> line.contains("failed")).toList();
    assertTrue(!failed.isEmpty(), "told: " + ended.observer().notices);
    assertTrue(failed.getFirst().startsWith("checkpoint of step 3 failed"), failed.getFirst());
    assertTrue(failed.getFirst().contains("HINT: "), failed.getFirst());
    run(config("straight"), NOTHING);
    assertEquals(hash("straight"), hash("run"));
  }

  private static void inTheWay(Path checkpoints) {
    try {
      if (Files.isDirectory(checkpoints)) {
        deleteTree(checkpoints);
      }
      Files.writeString(checkpoints, "");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void outOfTheWay(Path checkpoints) {
    try {
      Files.delete(checkpoints);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
