package troupe.coordinator.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import troupe.core.config.ConfigLoader;
import troupe.core.config.RunConfig;
import troupe.core.tensor.KernelProfiler;

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
    TrainBench.Result result = TrainBench.run(config(), 1, 3);
    assertEquals(3, result.stepMs().length);
    assertEquals(8 * 16, result.tokensPerStep());
    assertTrue(result.tokensPerSecond() > 0);
    assertTrue(result.kernelMs().containsKey("attentionForward"), result.kernelMs()::toString);
    assertFalse(result.ownClock());
    assertEquals(2 * result.profiledStepMs(), result.capacityMs());
    assertEquals(0, result.idle());
    assertTrue(result.outsideKernels() > 0 && result.outsideKernels() < 1);
  }

  @Test
  void shouldTimeStepsOfAnEvenLoad() {
    double[] stepMs = TrainBench.timed(config("gate.type=balanced"), 1, 3);
    assertEquals(3, stepMs.length);
    assertTrue(Arrays.stream(stepMs).allMatch(ms -> ms > 0));
  }

  @Test
  void shouldCountIdleTimeAsOutsideOfKernels() {
    TrainBench.Result result =
        new TrainBench.Result(
            new double[] {10},
            1,
            1,
            2,
            true,
            Map.of("a", 5.0, "b", 2.0, KernelProfiler.IDLE, 2.0),
            10);
    assertEquals(0.3, result.outsideKernels(), 1e-12);
    assertEquals(0.2, result.idle(), 1e-12);
    assertEquals(10, result.capacityMs());
  }
}
