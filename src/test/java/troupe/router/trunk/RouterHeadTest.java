package troupe.router.trunk;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import troupe.Closeness;
import troupe.core.config.ConfigLoader;
import troupe.core.config.RunConfig;
import troupe.core.nn.ParameterLayout;
import troupe.core.nn.ParameterSpec;
import troupe.core.nn.Parameters;
import troupe.core.tensor.Device;
import troupe.core.tensor.Devices;
import troupe.core.tensor.Tensor;
import troupe.core.tensor.check.KernelCheck;
import troupe.core.tensor.cuda.CudaDevices;

/** What makes logits, against plain loops and central differences on the reference device. */
final class RouterHeadTest {
  private static final long SEED = 5;
  private static final double STEP = 1e-5;

  /** Central differences are off by STEP^2 and by roundings of 1e-16 / STEP. */
  private static final double RELATIVE = 1e-7;

  private static final double FLOOR = 1e-9;

  /** What is computed in float32, as in {@link KernelCheck}. */
  private static final double EXACT = 1e-5;

  /** What is rounded to bf16. */
  private static final double ROUNDED = 1e-2;

  private static final int TOKENS = 3;

  private static RunConfig config(String type, int experts) {
    return ConfigLoader.parse(
        "",
        List.of(
            "device=reference",
            "gate.type=" + type,
            "experts.count=" + experts,
            "model.d_model=6",
            "model.heads=1"));
  }

  /** A head with its parameters. */
  private static final class Fixture implements AutoCloseable {
    final Device device;
    final Parameters parameters;
    final Parameters gradients;
    final RouterHead head;
    final int experts;

    Fixture(String deviceName, RunConfig config) {
      device = Devices.open(deviceName);
      experts = config.experts().count();
      List<ParameterSpec> specs = new ArrayList<>(RouterHead.specs(config, "l0.", 0.5));
      if (specs.isEmpty()) {
        specs.add(ParameterSpec.vector("somebody else's", 1, 0));
      }
      ParameterLayout layout = new ParameterLayout(specs);
      parameters = Parameters.initialised(device, layout, SEED);
      gradients = new Parameters(device, layout);
      head = RouterHead.of(device, config, "l0.", parameters, gradients);
    }

    double[] logits(double[] x) {
      try (Tensor x_TD = device.allocateActivations(TOKENS, x.length / TOKENS);
          Tensor logits_TE = device.allocate(TOKENS, experts)) {
        x_TD.set(x);
        head.forward(logits_TE, x_TD);
        return logits_TE.toDoubles();
      }
    }

    double[] backward(double[] x, double[] dLogits) {
      try (Tensor x_TD = device.allocateActivations(TOKENS, x.length / TOKENS);
          Tensor dX_TD = device.allocateActivations(TOKENS, x.length / TOKENS);
          Tensor dLogits_TE = device.allocate(TOKENS, experts)) {
        x_TD.set(x);
        dLogits_TE.set(dLogits);
        head.backward(dX_TD, dLogits_TE, x_TD);
        return dX_TD.toDoubles();
      }
    }

    @Override
    public void close() {
      parameters.close();
      gradients.close();
      device.close();
    }
  }

  private static double weighted(double[] logits, double[] weights) {
    double sum = 0;
    for (int i = 0; i < logits.length; i++) {
      sum += logits[i] * weights[i];
    }
    return sum;
  }

  @ParameterizedTest
  @ValueSource(strings = {"switch 4", "relu 4", "xmoe 1", "xmoe 4", "xmoe 20"})
  void shouldMatchFiniteDifferences(String typeAndExperts) {
    String[] words = typeAndExperts.split(" ");
    Random random = new Random(SEED);
    try (Fixture it = new Fixture("reference", config(words[0], Integer.parseInt(words[1])))) {
      double[] x = random.doubles(TOKENS * 6, -1, 1).toArray();
      double[] g = random.doubles(TOKENS * it.experts, -1, 1).toArray();
      double[] dX = it.backward(x, g);
      double[] numeric = new double[x.length];
      for (int i = 0; i < x.length; i++) {
        double[] up = x.clone();
        double[] down = x.clone();
        up[i] += STEP;
        down[i] -= STEP;
        numeric[i] = (weighted(it.logits(up), g) - weighted(it.logits(down), g)) / (2 * STEP);
      }
      Closeness.assertClose("dX", numeric, dX, RELATIVE, FLOOR);
      it.backward(x, g);
      for (ParameterSpec spec : it.parameters.layout().specs()) {
        Tensor parameter = it.parameters.get(spec.name());
        double[] values = parameter.toDoubles();
        double[] expected = new double[values.length];
        for (int i = 0; i < values.length; i++) {
          double[] moved = values.clone();
          moved[i] += STEP;
          parameter.set(moved);
          double above = weighted(it.logits(x), g);
          moved[i] -= 2 * STEP;
          parameter.set(moved);
          expected[i] = 2 * (above - weighted(it.logits(x), g)) / (2 * STEP);
        }
        parameter.set(values);
        // Twice, for gradients of parameters add up.
        double[] actual = it.gradients.get(spec.name()).toDoubles();
        Closeness.assertClose(spec.name(), expected, actual, RELATIVE, FLOOR);
      }
    }
  }

  @Test
  void shouldCompareProjectionsWithDirectionsWhenXmoe() {
    Random random = new Random(SEED);
    double[] x = random.doubles(TOKENS * 6, -1, 1).toArray();
    try (Fixture it = new Fixture("reference", config("xmoe", 5))) {
      double[] p = it.parameters.get("l0.router.proj").toDoubles();
      double[] e = it.parameters.get("l0.router.embed").toDoubles();
      double[] expected = new double[TOKENS * 5];
      for (int t = 0; t < TOKENS; t++) {
        for (int j = 0; j < 5; j++) {
          double dot = 0;
          double squares = 0;
          for (int i = 0; i < 16; i++) {
            double z = 0;
            for (int d = 0; d < 6; d++) {
              z += x[t * 6 + d] * p[d * 16 + i];
            }
            dot += z * e[j * 16 + i];
            squares += e[j * 16 + i] * e[j * 16 + i];
          }
          assertEquals(2.25, squares, 1e-12);
          expected[t * 5 + j] = dot / Math.sqrt(squares);
        }
      }
      Closeness.assertClose("logits", expected, it.logits(x), 1e-12, 1e-14);
      // The norm of an embedding is in no logit.
      Tensor embed = it.parameters.get("l0.router.embed");
      it.device.kernels().scale(embed, 3);
      Closeness.assertClose("scaled", expected, it.logits(x), 1e-12, 1e-14);
      try (Fixture cpu = new Fixture("cpu", config("xmoe", 5))) {
        Closeness.assertClose("cpu", expected, cpu.logits(x), 1e-5, 1e-6);
      }
    }
  }

  @Tag("gpu")
  @ParameterizedTest
  @ValueSource(strings = {"switch 4", "xmoe 1", "xmoe 4", "xmoe 20"})
  void shouldMatchReferenceOnCuda(String typeAndExperts) {
    assumeTrue(CudaDevices.mayBePresent(), "no NVIDIA GPU here");
    String[] words = typeAndExperts.split(" ");
    RunConfig config = config(words[0], Integer.parseInt(words[1]));
    Random random = new Random(SEED);
    try (Fixture it = new Fixture("cuda:0", config);
        Fixture reference = new Fixture("reference", config)) {
      // Eight bits: the same numbers in bf16.
      double[] x = random.ints(TOKENS * 6, -128, 129).mapToDouble(i -> i / 128.0).toArray();
      double[] g = random.doubles(TOKENS * it.experts, -1, 1).toArray();
      KernelCheck.close("logits", reference.logits(x), it.logits(x), EXACT);
      KernelCheck.close("dX", reference.backward(x, g), it.backward(x, g), ROUNDED);
      for (ParameterSpec spec : it.parameters.layout().specs()) {
        double[] expected = reference.gradients.get(spec.name()).toDoubles();
        double[] actual = it.gradients.get(spec.name()).toDoubles();
        KernelCheck.close(spec.name(), expected, actual, EXACT);
      }
    }
  }

  @Test
  void shouldHaveNoParametersAndNoLogitsWhenHashed() {
    try (Fixture it = new Fixture("reference", config("hash", 4))) {
      assertEquals(List.of(), RouterHead.specs(config("hash", 4), "l0.", 0.5));
      double[] x = new Random(SEED).doubles(TOKENS * 6).toArray();
      assertArrayEquals(new double[TOKENS * 4], it.logits(x));
      assertArrayEquals(new double[TOKENS * 6], it.backward(x, new double[TOKENS * 4]));
    }
  }
}
