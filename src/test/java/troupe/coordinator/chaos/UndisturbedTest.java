package troupe.coordinator.chaos;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import troupe.coordinator.launch.Console;
import troupe.coordinator.launch.JavaCommand;
import troupe.coordinator.launch.LaunchPlan;
import troupe.coordinator.run.TrainedRun;
import troupe.core.UserException;

/** The real {@code troupe train} in a process of its own. */
@Timeout(180)
final class UndisturbedTest {
  private static final JavaCommand TROUPE =
      JavaCommand.ofThisJvm("troupe.coordinator.cli.Troupe").with(List.of("-Xmx256m"));

  @TempDir private Path folder;
  private Path config;

  @BeforeEach
  void writeConfig() throws IOException {
    Path text = folder.resolve("text.txt");
    Files.write(
        text, IntStream.range(0, 300).mapToObj(i -> "line " + i + ": " + i * i + " owls").toList());
    config =
        Files.writeString(
            folder.resolve("tiny.conf"),
            """
            model { d_model = 16, heads = 2, layers = 2, d_ff = 24, seq = 8 }
            experts.count = 4
            data { source = text, validation_fraction = 0.2, path = "%s" }
            train { batch = 8, ranks = 2, steps = 1000000 }
            checkpoint.keep = 1
            """
                .formatted(text));
  }

  private LaunchPlan plan(String run, String... overrides) {
    String[] all = new String[overrides.length + 1];
    all[0] = "run.dir=" + folder.resolve(run);
    System.arraycopy(overrides, 0, all, 1, overrides.length);
    return LaunchPlan.of(config, List.of(all), 3);
  }

  @Test
  void shouldTrainToTheVeryStepWhereTheDisturbedRunWasStopped() throws Exception {
    LaunchPlan plan = plan("run");
    Console console = new Console();
    Files.createDirectories(plan.runFolder());
    TrainedHashes hashes = new TrainedHashes(TROUPE, plan, Optional.empty(), console.log(false, 3));
    String hash = hashes.undisturbed(7);
    Path checkpoint = plan.runFolder().resolve("undisturbed/checkpoints/step-00000007");
    try (TrainedRun trained = TrainedRun.open(checkpoint)) {
      assertEquals(7, trained.step());
      assertEquals(trained.hash(), hash);
    }
    assertTrue(console.out().contains("to step 7"), console::toString);

    LaunchPlan again = plan("again", "train.ranks=2", "faults.expert_throws=[\"3:0/1:forward\"]");
    Files.createDirectories(again.runFolder());
    assertEquals(
        hash,
        new TrainedHashes(TROUPE, again, Optional.empty(), console.log(false, 3)).undisturbed(7));
  }

  @Test
  void shouldSayWhereToLookWhenItCannotTrain() throws Exception {
    LaunchPlan plan = plan("run", "data.path=" + folder.resolve("missing.txt"));
    Files.createDirectories(plan.runFolder());
    UserException e =
        assertThrows(UserException.class, () -> new Undisturbed(TROUPE, plan).trainTo(3, s -> {}));
    assertTrue(e.getMessage().contains("ended at step 0"), e.getMessage());
    Path log = plan.runFolder().resolve("undisturbed.log");
    assertTrue(e.hint().endsWith(log.toString()), e.hint());
    assertTrue(Files.readString(log).contains("missing.txt"));
  }

  @Test
  void shouldBelieveAHashThatIsKnown() throws Exception {
    LaunchPlan plan = plan("run");
    TrainedHashes hashes =
        new TrainedHashes(TROUPE, plan, Optional.of("known"), new Console().log(false, 3));
    assertEquals("known", hashes.undisturbed(7));
  }
}
