package troupe.coordinator.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import troupe.core.UserException;
import troupe.core.config.ConfigLoader;
import troupe.core.config.RunConfig;
import troupe.core.tensor.DeviceGroup;
import troupe.core.tensor.Devices;

@Timeout(120)
class TrainBenchTest {
  private static RunConfig config(String... overrides) {
    return ConfigLoader.load(
        Path.of("..", "configs", "golden.conf"),
        Stream.concat(Stream.of("device=cpu", "cluster.threads=2"), Arrays.stream(overrides))
            .toList());
  }

  @Test
  void shouldSayWhereTheTimeGoes() {
    TrainBench.Result result =
        TrainBench.run(
            new TrainBench.Plan(config(), Optional.of(config("gate.type=balanced")), 1, 3, false));
    assertEquals(3, result.stepMs().length);
    assertEquals(3, result.balancedMs().length);
    assertEquals(OptionalDouble.empty(), result.deviceImbalance());
    assertEquals(8 * 16, result.tokensPerStep());
    assertTrue(result.tokensPerSecond() > 0);
    StepProfile profile = result.profile();
    assertTrue(profile.kernelMs().containsKey("attentionForward"), profile.kernelMs()::toString);
    assertEquals(StepProfile.Clock.THREADS, profile.clock());
    assertEquals(2 * profile.stepMs(), profile.capacityMs());
    assertEquals(0, profile.idle());
    assertTrue(profile.outsideKernels() > 0 && profile.outsideKernels() < 1);
  }

  /**
   * Experts move in the warm-up, however short it was to be, and what is timed has their effect.
   */
  @Test
  void shouldWaitForExpertsToMoveBeforeItTimes() {
    String[] uneven = {"experts.count=8", "schedule.learning_rate=0.0003", "train.batch=64"};
    String[] moves = {
      "placement.rebalance=load", "placement.max_imbalance=1.03", "placement.patience_steps=4"
    };
    RunConfig still = config(uneven);
    RunConfig moved =
        config(Stream.concat(Arrays.stream(uneven), Arrays.stream(moves)).toArray(String[]::new));
    try (DeviceGroup devices = new DeviceGroup(List.of(Devices.open("cpu"), Devices.open("cpu")))) {
      // The same steps, with the same load.
      StepClock.Times before = StepClock.times(still, devices, 10, 6);
      StepClock.Times after = StepClock.times(moved, devices, 1, 6);
      assertEquals(6, after.stepMs().length);
      assertTrue(
          after.deviceImbalance() < before.deviceImbalance(),
          () -> before.deviceImbalance() + " " + after.deviceImbalance());
    }
  }

  @Test
  void shouldRefuseToRecordWhatIsNoGpu() {
    TrainBench.Plan plan = new TrainBench.Plan(config(), Optional.empty(), 1, 3, true);
    UserException e = assertThrows(UserException.class, () -> TrainBench.run(plan));
    assertEquals("profile: device cpu (expected: a GPU)", e.getMessage());
  }

  @Test
  void shouldTimeStepsOfAnEvenLoad() {
    double[] stepMs = TrainBench.timed(config("gate.type=balanced"), 1, 3);
    assertEquals(3, stepMs.length);
    assertTrue(Arrays.stream(stepMs).allMatch(ms -> ms > 0));
  }
}
