package troupe.coordinator.lab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import troupe.core.UserException;
import troupe.core.config.RunConfig;

class TrialsTest {
  @TempDir private Path folder;
  private final List<String> trained = Collections.synchronizedList(new ArrayList<>());
  private final List<String> out = Collections.synchronizedList(new ArrayList<>());
  private List<Trial> trials;

  @BeforeEach
  void planTrials() {
    trials = Examples.trials(Examples.ablation(), folder);
  }

  private TrialResult train(Trial trial) {
    trained.add(trial.title());
    return Examples.result(trial, 2, 3, 2, 1);
  }

  private List<String> run(int parallel, TrialTrainer trainer) throws InterruptedException {
    try (ResultsFile results = ResultsFile.open(folder)) {
      return new Trials(trials, results, trainer, parallel, out::add, () -> 0).run();
    }
  }

  private Path file() {
    return folder.resolve(ResultsFile.FILE_NAME);
  }

  @Test
  void shouldKeepAllResults() throws Exception {
    assertEquals(List.of(), run(1, this::train));
    assertEquals(List.of("switch, seed 0", "sparsemixer, seed 0", "wide, seed 0"), trained);
    assertEquals(3, Files.readAllLines(file()).size());
    assertTrue(out.getLast().startsWith("training   3 of 3  ETA 0m00s  wide, seed 0: loss 2.0000"));
  }

  @Test
  void shouldTrainOnlyWhatIsMissing() throws Exception {
    run(1, this::train);
    List<String> lines = Files.readAllLines(file());
    Files.writeString(file(), lines.get(0) + "\n" + lines.get(2) + "\n");
    trained.clear();

    run(1, this::train);
    assertEquals(List.of("sparsemixer, seed 0"), trained);
    assertEquals(3, Files.readAllLines(file()).size());
  }

  @Test
  void shouldRepeatWhatATornLineWasOf() throws Exception {
    run(1, this::train);
    String text = Files.readString(file());
    Files.writeString(file(), text.substring(0, text.length() - 20));
    trained.clear();

    run(1, this::train);
    assertEquals(List.of("wide, seed 0"), trained);
    assertEquals(text, Files.readString(file()));
  }

  @Test
  void shouldTrainAgainWhatHasAnotherConfig() throws Exception {
    run(1, this::train);
    trained.clear();
    trials = Examples.trials(Examples.ablation("train.batch=32"), folder);
    run(1, this::train);
    assertEquals(3, trained.size());
    trained.clear();
    trials = Examples.trials(Examples.ablation("evaluate.batches=3"), folder);
    run(1, this::train);
    assertEquals(3, trained.size());
  }

  @Test
  void shouldNotTrainAgainWhatOnlyRunsElsewhere() throws Exception {
    run(1, this::train);
    trained.clear();
    trials =
        Examples.trials(
            Examples.ablation("cluster.threads=4", "lab.parallel=2"), folder.resolve("other"));
    run(1, this::train);
    assertEquals(List.of(), trained);
  }

  @Test
  void shouldTrainEqualArmsOnce() throws Exception {
    trials =
        Examples.trials(
            Examples.ablation(
                "lab.arms=[\"a: gate.type=switch\", \"b: gate.type=switch experts.count=8\"]"),
            folder);
    run(1, this::train);
    assertEquals(List.of("a, seed 0"), trained);
    try (ResultsFile results = ResultsFile.open(folder)) {
      assertEquals(2, Comparison.of(trials, results).rows().size());
    }
  }

  @Test
  void shouldGoOnAfterAFailure() throws Exception {
    List<String> failures =
        run(
            1,
            trial -> {
              if (trial.arm().name().equals("switch")) {
                throw new TrialFailedException("switch, seed 0: it burst", null);
              }
              return train(trial);
            });
    assertEquals(List.of("switch, seed 0: it burst"), failures);
    assertEquals(2, Files.readAllLines(file()).size());
  }

  @Test
  void shouldEndAtAMistake() throws IOException {
    UserException mistake = new UserException("data.path: none", "name one");
    CountDownLatch never = new CountDownLatch(1);
    assertThrows(
        UserException.class,
        () ->
            run(
                1,
                trial -> {
                  trained.add(trial.title());
                  if (trained.size() == 1) {
                    throw mistake;
                  }
                  never.await();
                  return train(trial);
                }));
    assertTrue(trained.size() < 3, trained.toString());
    assertFalse(Files.readString(file()).contains("{"));
  }

  @Test
  void shouldTrainSeveralAtOnce() throws Exception {
    CountDownLatch all = new CountDownLatch(3);
    List<String> failures =
        run(
            3,
            trial -> {
              all.countDown();
              if (!all.await(1, TimeUnit.MINUTES)) {
                throw new TrialFailedException("alone", null);
              }
              return train(trial);
            });
    assertEquals(List.of(), failures);
    assertEquals(3, Files.readAllLines(file()).size());
  }

  @Test
  void shouldOrderBySeedFirst() {
    RunConfig two = Examples.ablation("lab.seeds=2", "seed=5");
    assertEquals(
        List.of("switch, seed 5", "sparsemixer, seed 5", "wide, seed 5", "switch, seed 6"),
        Examples.trials(two, folder).stream().map(Trial::title).limit(4).toList());
  }
}
