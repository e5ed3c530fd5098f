package troupe.coordinator.run;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import troupe.coordinator.StepReport;
import troupe.coordinator.events.Outcome;
import troupe.coordinator.host.Model;
import troupe.core.config.RunConfig;
import troupe.core.tensor.Device;
import troupe.core.tensor.Devices;
import troupe.router.trunk.RankState;

/** What gates keep from step to step, over whole steps of several ranks. */
final class GateStateRunTest {
  private static final int STEPS = 3;

  /** Parts of micro-batches are added up in float32. */
  private static final double TOLERANCE = 1e-5;

  /** Trains and returns what a layer's gate keeps, which is the same on every rank. */
  private static double[] trained(RunConfig config, int layer) {
    try (Device device = Devices.open(config.device());
        Model model = new Model(device, config)) {
      new SingleProcess(model, Runs.randomBatches(config), Runs.draws(config)).train(STEPS);
      String name = "l" + layer + ".router.state";
      double[] state = model.ranks().getFirst().parameters().get(name).toDoubles();
      for (RankState rank : model.ranks()) {
        assertArrayEquals(state, rank.parameters().get(name).toDoubles());
      }
      return state;
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 4})
  void shouldMoveTheBiasByItsRateInEveryStep(int ranks) {
    double rate = 0.125;
    RunConfig config =
        Runs.tiny(
            "gate.type=deepseek-v3",
            "gate.top_k=2",
            "gate.deepseek.bias_rate=" + rate,
            "train.ranks=" + ranks);
    double[] bias = trained(config, 1);
    for (double b : bias) {
      assertEquals(Math.rint(b / rate), b / rate, TOLERANCE, Arrays.toString(bias));
      assertTrue(Math.abs(b) <= STEPS * rate + TOLERANCE, Arrays.toString(bias));
    }
    assertTrue(Arrays.stream(bias).anyMatch(b -> b != 0), "some expert had more than the mean");
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 4})
  void shouldRaiseThePenaltyAsLongAsTooManyExpertsTakePart(int ranks) {
    RunConfig config = Runs.tiny("gate.type=relu", "train.ranks=" + ranks);
    assertEquals(STEPS, trained(config, 0)[0], TOLERANCE);
  }

  @Test
  void shouldReportThePenaltyAsAPartOfTheLoss() throws Exception {
    RunConfig config = Runs.tiny("gate.type=relu", "gate.relu.coefficient=0.1");
    try (Device device = Devices.open(config.device());
        Model model = new Model(device, config)) {
      Runs.Heard heard = Runs.train(model);
      assertInstanceOf(Outcome.Completed.class, heard.outcome.join());
      for (StepReport step : heard.steps) {
        assertTrue(step.penalty() > 0, step.toString());
        assertEquals(step.crossEntropy() + step.penalty(), step.loss(), step.toString());
      }
    }
  }

  @Test
  void shouldLowerThePenaltyWhenTooFewExpertsTakePart() {
    RunConfig config = Runs.tiny("gate.type=relu", "gate.top_k=4");
    assertEquals(-STEPS, trained(config, 1)[0], TOLERANCE);
  }
}
