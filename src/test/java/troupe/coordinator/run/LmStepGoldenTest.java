package troupe.coordinator.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;

import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import troupe.Golden;
import troupe.coordinator.RunTask;
import troupe.coordinator.StepReport;
import troupe.coordinator.events.Outcome;
import troupe.coordinator.host.Model;
import troupe.core.config.ConfigLoader;
import troupe.core.config.RunConfig;
import troupe.core.data.Batch;
import troupe.core.nn.ParameterSpec;
import troupe.core.nn.Parameters;
import troupe.core.tensor.Device;
import troupe.core.tensor.Devices;
import troupe.core.tensor.Tensor;
import troupe.expert.network.ExpertState;
import troupe.router.BatchSource;
import troupe.router.gate.Draws;
import troupe.router.pass.DrawsSource;
import troupe.router.trunk.RankState;

/**
 * One training step of a whole language model, through the real actors, against PyTorch's autograd.
 */
@Tag("golden")
final class LmStepGoldenTest {
  /** The reference computes in double as PyTorch did; what differs is the order of sums. */
  private static final double REFERENCE_TOLERANCE = 1e-9;

  /** Single precision: some 1e-7 an operation, grown by a few hundred of them. */
  private static final double FLOAT_TOLERANCE = 1e-4;

  private static Stream<Arguments> runs() {
    return Golden.cases("lm_step")
        .flatMap(
            golden -> {
              int batch = golden.child("config").integer("batch");
              return Stream.of("reference", "cpu", "nd4j")
                  .flatMap(
                      device ->
                          Stream.of(
                              Arguments.of(golden, device, 1, 1),
                              Arguments.of(golden, device, batch, 1),
                              Arguments.of(golden, device, 1, batch)));
            })
        .distinct();
  }

  @ParameterizedTest(name = "{0} on {1}, {2} ranks of {3} micro-batches")
  @MethodSource("runs")
  void shouldMatchPyTorchInEveryNumberOfAStep(
      Golden golden, String deviceName, int ranks, int microBatches) throws Exception {
    double tolerance = deviceName.equals("reference") ? REFERENCE_TOLERANCE : FLOAT_TOLERANCE;
    RunConfig config = config(golden, deviceName, ranks, microBatches);
    try (Device device = Devices.open(deviceName);
        Model model = new Model(device, config)) {
      Golden before = golden.child("params");
      model.ranks().forEach(rank -> set(rank.parameters(), before));
      model.experts().forEach(expert -> set(expert, before));

      Runs.Heard heard =
          Runs.run(
              model,
              batches(golden, ranks * microBatches),
              draws(golden),
              List.of(new RunTask.Train(1)));

      assertInstanceOf(Outcome.Completed.class, heard.outcome.join());
      StepReport report = heard.steps.getFirst();
      assertClose("ce", golden.number("ce"), report.crossEntropy(), tolerance);
      assertClose("balance", golden.number("balance"), report.balance(), tolerance);
      assertClose("loss", golden.number("loss"), report.loss(), tolerance);
      assertClose("grad_norm", golden.number("grad_norm"), report.gradNorm(), tolerance);
      compareTrunk("gradient of ", golden.child("grads"), summed(model), tolerance);
      for (ExpertState expert : model.experts()) {
        compare("gradient of ", golden.child("grads"), expert, expert.gradients(), tolerance);
        compare("updated ", golden.child("params_after"), expert, expert.parameters(), tolerance);
      }
      for (RankState rank : model.ranks()) {
        for (ParameterSpec spec : rank.parameters().layout().specs()) {
          assertClose(
              "updated " + spec.name(),
              golden.child("params_after").child(spec.name()).doubles("data"),
              rank.parameters().get(spec.name()).toDoubles(),
              tolerance);
        }
      }
    }
  }

  @ParameterizedTest(name = "{0} on {1}, {2} ranks of {3} micro-batches")
  @MethodSource("runs")
  void shouldMatchPyTorchInEveryLogit(
      Golden golden, String deviceName, int ranks, int microBatches) {
    RunConfig config = config(golden, deviceName, ranks, microBatches);
    try (Device device = Devices.open(deviceName);
        Model model = new Model(device, config)) {
      model.ranks().forEach(rank -> set(rank.parameters(), golden.child("params")));
      model.experts().forEach(expert -> set(expert, golden.child("params")));
      SingleProcess process =
          new SingleProcess(model, batches(golden, ranks * microBatches), draws(golden));
      assertClose(
          "logits",
          golden.child("logits").doubles("data"),
          process.logits(),
          deviceName.equals("reference") ? REFERENCE_TOLERANCE : FLOAT_TOLERANCE);
    }
  }

  private static DrawsSource draws(Golden golden) {
    return (step, layer, first) -> new RecordedDraws(golden.children("draws").get(layer), first);
  }

  private static RunConfig config(Golden golden, String device, int ranks, int microBatches) {
    Golden c = golden.child("config");
    return ConfigLoader.parse(
        "",
        List.of(
            "device=" + device,
            "model.vocab=" + c.integer("vocab"),
            "model.d_model=" + c.integer("d_model"),
            "model.heads=" + c.integer("heads"),
            "model.layers=" + c.integer("layers"),
            "model.d_ff=" + c.integer("d_ff"),
            "model.seq=" + c.integer("seq"),
            "model.layer_norm_epsilon=" + c.number("ln_eps"),
            "experts.count=" + c.integer("experts"),
            "gate.jitter=" + c.number("jitter_eps"),
            "gate.balance_coefficient=" + c.number("balance_alpha"),
            "schedule.type=constant",
            "schedule.warmup_steps=0",
            "schedule.learning_rate=" + c.number("lr"),
            "optimizer.weight_decay=" + c.number("weight_decay"),
            "optimizer.beta1=" + c.number("beta1"),
            "optimizer.beta2=" + c.number("beta2"),
            "optimizer.epsilon=" + c.number("adam_eps"),
            "optimizer.clip=" + c.number("clip"),
            "evaluate.every=0",
            "train.steps=1",
            "train.batch=" + c.integer("batch"),
            "train.ranks=" + ranks,
            "train.micro_batches=" + microBatches));
  }

  private static BatchSource batches(Golden golden, int parts) {
    int[] tokens = golden.ints("tokens");
    int[] targets = golden.ints("targets");
    int seq = golden.child("config").integer("seq");
    return new BatchSource() {
      @Override
      public Batch training(long step, int rank, int microBatch) {
        int size = tokens.length / parts;
        int from = (rank + microBatch) * size;
        return new Batch(
            Arrays.copyOfRange(tokens, from, from + size),
            Arrays.copyOfRange(targets, from, from + size),
            size / seq,
            seq);
      }

      @Override
      public Batch validation(int index, int count) {
        throw new AssertionError("no validation in this run");
      }
    };
  }

  /** The draws that PyTorch made, by token of the whole step. */
  private record RecordedDraws(Golden draws, long first) implements Draws {
    @Override
    public double exponential(int token, int expert, int round) {
      return draws.matrix("exp_noise")[(int) first + token][expert];
    }

    @Override
    public double coin(int token, int round) {
      return draws.doubles("coin")[(int) first + token];
    }

    @Override
    public double scale(int token, int round) {
      throw new AssertionError("not drawn by this gate");
    }

    @Override
    public double noise(int token, int expert) {
      throw new AssertionError("not drawn by this gate");
    }

    @Override
    public double inputNoise(int token, int channel) {
      throw new AssertionError("not drawn by this gate");
    }

    @Override
    public double priority(int token) {
      throw new AssertionError("not drawn by this gate");
    }
  }

  private static void set(Parameters parameters, Golden values) {
    for (ParameterSpec spec : parameters.layout().specs()) {
      parameters.get(spec.name()).set(values.child(spec.name()).doubles("data"));
    }
  }

  /** PyTorch's tensors hold all experts of a layer, one after the other. */
  private static void set(ExpertState expert, Golden values) {
    for (ParameterSpec spec : expert.parameters().layout().specs()) {
      expert.parameters().get(spec.name()).set(part(values, expert, spec));
    }
  }

  private static double[] part(Golden values, ExpertState expert, ParameterSpec spec) {
    String name = spec.name().replaceFirst("\\.e\\d+\\.", ".");
    double[] all = values.child(name).doubles("data");
    int size = Math.toIntExact(spec.size());
    return Arrays.copyOfRange(all, expert.expert() * size, (expert.expert() + 1) * size);
  }

  /** The trunk's gradients over all ranks. */
  private static Parameters summed(Model model) {
    Parameters sum = model.ranks().getFirst().gradients();
    for (RankState rank : model.ranks().subList(1, model.ranks().size())) {
      Tensor more = rank.gradients().flat();
      model.devices().first().kernels().add(sum.flat(), more);
    }
    return sum;
  }

  private static void compareTrunk(
      String what, Golden expected, Parameters actual, double tolerance) {
    for (ParameterSpec spec : actual.layout().specs()) {
      assertClose(
          what + spec.name(),
          expected.child(spec.name()).doubles("data"),
          actual.get(spec.name()).toDoubles(),
          tolerance);
    }
  }

  private static void compare(
      String what, Golden expected, ExpertState expert, Parameters actual, double tolerance) {
    for (ParameterSpec spec : actual.layout().specs()) {
      assertClose(
          what + spec.name(),
          part(expected, expert, spec),
          actual.get(spec.name()).toDoubles(),
          tolerance);
    }
  }

  private static void assertClose(String what, double expected, double actual, double tolerance) {
    assertClose(what, new double[] {expected}, new double[] {actual}, tolerance);
  }

  /**
   * Relative to the largest number of the tensor: what a small one lost by cancellation is not an
   * error.
   */
  private static void assertClose(
      String what, double[] expected, double[] actual, double tolerance) {
    assertEquals(expected.length, actual.length, what);
    double scale = Arrays.stream(expected).map(Math::abs).max().orElse(0);
    for (int i = 0; i < expected.length; i++) {
      assertEquals(expected[i], actual[i], tolerance * scale + 1e-15, what + "[" + i + "]");
    }
  }
}
