package troupe.coordinator.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import troupe.coordinator.events.Outcome;
import troupe.coordinator.host.Model;
import troupe.core.config.RunConfig;
import troupe.core.tensor.Device;
import troupe.core.tensor.Devices;

/**
 * Actors add nothing to the numbers: a run of them equals the same pieces run one after the other.
 */
final class SingleProcessTest {
  private record Trained(String hash, List<SingleProcess.Result> steps) {}

  private static Trained alone(RunConfig config) {
    try (Device device = Devices.open(config.device());
        Model model = new Model(device, config)) {
      long before = device.allocatedBytes();
      List<SingleProcess.Result> steps =
          new SingleProcess(model, Runs.randomBatches(config), Runs.draws(config))
              .train(config.train().steps());
      assertEquals(before, device.allocatedBytes(), "bytes left behind");
      return new Trained(Shards.hash(model), steps);
    }
  }

  private static RunConfig tiny(String overrides) {
    return Runs.tiny(overrides.split(" "));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "train.ranks=1 train.micro_batches=1",
        "train.ranks=2 train.micro_batches=2",
        "train.ranks=4 train.micro_batches=2",
        "train.ranks=1 train.micro_batches=8",
        "train.ranks=8 train.micro_batches=1",
        "train.ranks=3 train.micro_batches=1 train.batch=9",
        // One token a rank: most experts get none.
        "train.ranks=8 train.micro_batches=1 model.seq=1 experts.count=16",
        // Fewer tokens in a step than experts.
        "train.ranks=2 train.micro_batches=2 model.seq=1 experts.count=16 gate.type=switch",
        "train.ranks=2 gate.type=switch experts.capacity_factor=0.5 experts.min_capacity=1",
        "gate.type=sparsemixer-inf model.layers=4 model.moe_every=2 model.activation=swiglu",
        "gate.type=switch gate.jitter_on=input gate.z_coefficient=0.01 gate.omega=false",
        "train.steps=3 gate.type=expert-choice gate.allow_leak=true gate.top_k=2",
        "train.steps=3 gate.type=expert-choice gate.allow_leak=true gate.expert_choice.softmax=tokens",
        "train.steps=3 gate.type=base",
        "train.steps=3 gate.type=base train.ranks=1 train.micro_batches=8 model.seq=6",
        "train.steps=3 gate.type=sinkhorn",
        "train.steps=3 gate.type=sinkhorn gate.top_k=2 experts.capacity_factor=0.5 experts.min_capacity=1",
        "train.steps=3 gate.type=skip experts.capacity_factor=0.5 experts.min_capacity=1",
        "train.steps=3 gate.type=skip gate.reinforce.gated=true gate.reinforce.baseline=ema",
        "train.steps=3 gate.type=gumbel-matching",
        "train.steps=3 gate.type=gumbel-matching train.micro_batches=4 model.seq=6 gate.reinforce.baseline=ema",
        "gate.type=sparsemixer-v2 gate.top_k=2 train.steps=3",
        "gate.type=sparsemixer-v2 gate.top_k=3 gate.mask=none experts.capacity_factor=1 train.steps=3",
        "gate.type=sparsemixer-ode gate.ode.rule=gauss-2 train.steps=3",
        "gate.type=sparsemixer-ode gate.ode.rule=simpson gate.ode.full_best=false train.steps=3",
        "gate.type=dense train.steps=3",
        "gate.type=straight-through gate.mask=none train.steps=3",
        "gate.type=st-gumbel gate.mask=none gate.temperature=0.5 train.steps=3",
        "gate.type=reinmax gate.mask=none train.steps=3",
        "gate.type=reinforce gate.mask=none train.steps=3",
        "gate.type=reinforce gate.reinforce.baseline=ema gate.mask=none train.steps=3",
        "gate.type=reinforce gate.reinforce.gated=true gate.reinforce.baseline=constant train.steps=3",
        "gate.type=softmax-topk gate.top_k=2 train.steps=3",
        "gate.type=softmax-topk gate.top_k=3 experts.capacity_factor=0.75 experts.min_capacity=0",
        "gate.type=gshard train.steps=3",
        "gate.type=gshard gate.gshard.second=random experts.capacity_factor=0.75 experts.overflow=next",
        "gate.type=gshard gate.gshard.second=threshold gate.gshard.normalise=before-drop",
        "gate.type=deepseek-v3 gate.top_k=2 gate.deepseek.groups=2 train.ranks=4",
        "gate.type=deepseek-v3 gate.top_k=2 gate.deepseek.score=softmax train.steps=3",
        "gate.type=xmoe train.steps=3",
        "gate.type=xmoe gate.top_k=2 experts.capacity_factor=1 train.steps=3",
        "gate.type=relu train.ranks=4 train.steps=3",
        "gate.type=relu gate.top_k=2 gate.relu.coefficient=0.1 experts.capacity_factor=1",
        "gate.type=hash train.steps=3",
        "gate.type=hash gate.hash.table=random train.ranks=4 experts.capacity_factor=0.5",
        "device=reference train.ranks=2",
        "device=nd4j train.ranks=2 train.steps=3"
      })
  void shouldGiveTheSameBitsAsActors(String overrides) throws Exception {
    RunConfig config = tiny(overrides);
    Trained alone = alone(config);
    try (Device device = Devices.open(config.device());
        Model model = new Model(device, config)) {
      Runs.Heard heard = Runs.train(model);
      assertInstanceOf(Outcome.Completed.class, heard.outcome.join());
      for (int i = 0; i < alone.steps().size(); i++) {
        SingleProcess.Result expected = alone.steps().get(i);
        assertTrue(Double.isFinite(expected.loss()), "loss " + i);
        assertEquals(expected.crossEntropy(), heard.steps.get(i).crossEntropy(), "ce " + i);
        assertEquals(expected.balance(), heard.steps.get(i).balance(), "balance " + i);
        assertEquals(expected.z(), heard.steps.get(i).z(), "z " + i);
        assertEquals(expected.loss(), heard.steps.get(i).loss(), "loss " + i);
        assertTrue(Double.isFinite(expected.loss()), "loss " + i);
        assertEquals(expected.gradNorm(), heard.steps.get(i).gradNorm(), "grad_norm " + i);
      }
      assertEquals(alone.steps().size(), heard.steps.size());
      assertEquals(alone.hash(), Shards.hash(model));
    }
  }

  @ParameterizedTest
  @CsvSource({"1, 2", "2, 1", "2, 2", "4, 1", "4, 2", "1, 8", "8, 1"})
  void shouldLoseTheSameHoweverTheBatchIsSplit(int ranks, int microBatches) {
    String rest = " device=reference train.steps=5 gate.z_coefficient=0.01";
    List<SingleProcess.Result> whole =
        alone(tiny("train.ranks=1 train.micro_batches=1" + rest)).steps();
    List<SingleProcess.Result> split =
        alone(tiny("train.ranks=" + ranks + " train.micro_batches=" + microBatches + rest)).steps();
    for (int i = 0; i < whole.size(); i++) {
      assertEquals(whole.get(i).loss(), split.get(i).loss(), 1e-9, "loss of step " + (i + 1));
      assertEquals(whole.get(i).gradNorm(), split.get(i).gradNorm(), 1e-9, "norm " + (i + 1));
    }
  }

  @Test
  void shouldAverageTheLossOfEarlierStepsInEveryLayer() {
    RunConfig config =
        tiny(
            "device=reference gate.type=reinforce gate.mask=none gate.reinforce.baseline=ema"
                + " gate.reinforce.decay=0.75 gate.reinforce.value=1 train.steps=4");
    try (Device device = Devices.open(config.device());
        Model model = new Model(device, config)) {
      List<SingleProcess.Result> steps =
          new SingleProcess(model, Runs.randomBatches(config), Runs.draws(config)).train(4);
      double average = 1;
      for (SingleProcess.Result step : steps) {
        average = 0.75 * average + 0.25 * step.crossEntropy();
      }
      for (String name : List.of("l0.router.state", "l1.router.state")) {
        double state = model.ranks().getFirst().parameters().get(name).item();
        assertEquals(average, state, 1e-12, name);
      }
    }
  }

  @Test
  void shouldLeaveExpertsWithoutTokensAtTheirDecayAlone() {
    RunConfig config =
        tiny(
            "train.ranks=2 train.micro_batches=2 model.seq=1 experts.count=16 gate.type=switch train.steps=1");
    try (Device device = Devices.open(config.device());
        Model model = new Model(device, config)) {
      SingleProcess single =
          new SingleProcess(model, Runs.randomBatches(config), Runs.draws(config));
      single.computeGradients();
      List<double[]> gradients =
          new ArrayList<>(
              model.experts().stream().map(e -> e.gradients().flat().toDoubles()).toList());
      long idle = gradients.stream().filter(g -> Arrays.stream(g).allMatch(x -> x == 0)).count();
      assertTrue(idle >= 16, "experts without a token: " + idle + " of 32 with 8 tokens");
      assertTrue(idle < 32, "some expert works");
    }
  }
}
