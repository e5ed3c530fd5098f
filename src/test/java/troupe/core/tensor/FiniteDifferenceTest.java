package troupe.core.tensor;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Random;
import java.util.function.Function;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Every backward kernel of the reference against central differences of its forward kernel. */
class FiniteDifferenceTest {
  /**
   * The cube root of double precision: rounding and truncation errors of a central difference
   * balance there.
   */
  private static final double STEP = 6e-6;

  /**
   * The truncation error is STEP^2 times a third derivative, the rounding error 1e-16 / STEP: both
   * below 1e-9 here.
   */
  private static final double TOLERANCE = 1e-7;

  /** Of embeddings, two of which are shorter. */
  private static final double LEAST_NORM = 0.5;

  private static final long SEED = 20260101;

  private static Device device;
  private static Kernels kernels;
  private final Random random = new Random(SEED);

  @BeforeAll
  static void open() {
    device = Devices.open("reference");
    kernels = device.kernels();
  }

  @AfterAll
  static void close() {
    device.close();
  }

  @ParameterizedTest
  @EnumSource(Activation.class)
  void shouldMatchFiniteDifferenceWhenActivationRunsBackward(Activation activation) {
    int columns = 5;
    Tensor pre = normal(3, activation.preWidth(columns));
    Tensor dOut = normal(3, columns);
    Tensor dPre = device.zeros(3, pre.columns());
    kernels.activationBackward(dPre, dOut, pre, activation);
    assertGradient(
        pre,
        dPre,
        dOut,
        x -> {
          Tensor out = device.allocate(3, columns);
          kernels.activationForward(out, x, activation);
          return out;
        });
  }

  @Test
  void shouldMatchFiniteDifferenceWhenLayerNormRunsBackward() {
    Tensor x = normal(3, 7);
    Tensor gain = normal(1, 7);
    Tensor bias = normal(1, 7);
    Tensor mean = device.zeros(3, 1);
    Tensor rstd = device.zeros(3, 1);
    kernels.layerNormForward(device.zeros(3, 7), mean, rstd, x, gain, bias, 1e-5);
    Tensor dOut = normal(3, 7);
    Tensor dX = device.zeros(3, 7);
    Tensor dGain = device.zeros(1, 7);
    Tensor dBias = device.zeros(1, 7);
    kernels.layerNormBackward(dX, dGain, dBias, dOut, x, mean, rstd, gain);
    assertGradient(x, dX, dOut, at -> normalized(at, gain, bias));
    assertGradient(gain, dGain, dOut, at -> normalized(x, at, bias));
    assertGradient(bias, dBias, dOut, at -> normalized(x, gain, at));
  }

  private static Tensor normalized(Tensor x, Tensor gain, Tensor bias) {
    Tensor out = device.zeros(x.rows(), x.columns());
    Tensor mean = device.zeros(x.rows(), 1);
    Tensor rstd = device.zeros(x.rows(), 1);
    kernels.layerNormForward(out, mean, rstd, x, gain, bias, 1e-5);
    return out;
  }

  @ParameterizedTest
  @CsvSource({"1, 1, 1, 1", "1, 4, 2, 3", "2, 5, 3, 2"})
  void shouldMatchFiniteDifferenceWhenAttentionRunsBackward(
      int batch, int seq, int heads, int headWidth) {
    int tokens = batch * seq;
    int width = heads * headWidth;
    Tensor qkv = normal(tokens, 3 * width);
    Tensor dOut = normal(tokens, width);
    Tensor out = device.zeros(tokens, width);
    Tensor saved = kernels.allocateAttentionSaved(batch, seq, heads);
    kernels.attentionForward(out, saved, qkv, batch, heads);
    Tensor dQkv = device.zeros(tokens, 3 * width);
    kernels.attentionBackward(dQkv, dOut, qkv, out, saved, batch, heads);
    assertGradient(
        qkv,
        dQkv,
        dOut,
        x -> {
          Tensor y = device.zeros(tokens, width);
          Tensor kept = kernels.allocateAttentionSaved(batch, seq, heads);
          kernels.attentionForward(y, kept, x, batch, heads);
          return y;
        });
  }

  @Test
  void shouldMatchFiniteDifferenceWhenCrossEntropyGivesItsGradient() {
    int[] targets = {0, 4, 2};
    Tensor logits = normal(3, 5);
    Tensor dLogits = device.zeros(3, 5);
    kernels.crossEntropy(device.zeros(3, 1), dLogits, logits, targets, 0.5);
    Tensor weights = device.of(3, 1, 0.5, 0.5, 0.5);
    assertGradient(
        logits,
        dLogits,
        weights,
        x -> {
          Tensor losses = device.zeros(3, 1);
          kernels.crossEntropy(losses, null, x, targets, 1);
          return losses;
        });
  }

  @Test
  void shouldMatchFiniteDifferenceWhenEmbeddingRunsBackward() {
    int[] tokens = {1, 0, 1, 3, 1};
    Tensor tok = normal(4, 3);
    Tensor pos = normal(3, 3);
    Tensor dOut = normal(5, 3);
    Tensor dTok = device.zeros(4, 3);
    Tensor dPos = device.zeros(3, 3);
    kernels.embeddingBackward(dTok, dPos, dOut, tokens, 2);
    assertGradient(tok, dTok, dOut, x -> embedded(tokens, x, pos));
    assertGradient(pos, dPos, dOut, x -> embedded(tokens, tok, x));
  }

  private static Tensor embedded(int[] tokens, Tensor tok, Tensor pos) {
    Tensor out = device.zeros(tokens.length, tok.columns());
    kernels.embeddingForward(out, tokens, tok, pos, 2);
    return out;
  }

  @Test
  void shouldMatchFiniteDifferenceWhenGatherAndScatterRunBackward() {
    int[] tokenOfRow = {2, 0, 2};
    Tensor in = normal(4, 3);
    Tensor dOut = normal(3, 3);
    Tensor dIn = device.zeros(4, 3);
    kernels.scatterAddRows(dIn, dOut, tokenOfRow);
    assertGradient(
        in,
        dIn,
        dOut,
        x -> {
          Tensor out = device.zeros(3, 3);
          kernels.gatherRows(out, x, tokenOfRow);
          return out;
        });
  }

  @Test
  void shouldMatchFiniteDifferenceWhenCombineRunsBackward() {
    int[] tokenOfRow = {2, 0, 2};
    double[] multiplier = {0.5, 0.25, 0.75};
    Tensor y = normal(3, 5);
    Tensor omega = normal(1, 5);
    Tensor dX = normal(4, 5);
    Tensor dY = device.zeros(3, 5);
    Tensor s = device.zeros(3, 1);
    Tensor dOmega = device.zeros(1, 5);
    kernels.combineBackward(dY, s, dOmega, dX, y, tokenOfRow, multiplier, omega);
    assertGradient(y, dY, dX, x -> combined(x, tokenOfRow, multiplier, omega));
    assertGradient(omega, dOmega, dX, x -> combined(y, tokenOfRow, multiplier, x));
    Tensor multipliers = device.of(3, 1, multiplier);
    assertGradient(multipliers, s, dX, x -> combined(y, tokenOfRow, x.toDoubles(), omega));
  }

  private static Tensor combined(Tensor y, int[] tokenOfRow, double[] multiplier, Tensor omega) {
    Tensor x = device.zeros(4, y.columns());
    kernels.combineForward(x, y, tokenOfRow, multiplier, omega);
    return x;
  }

  @Test
  void shouldMatchFiniteDifferenceWhenDirectionsRunBackward() {
    Tensor p = normal(5, 3);
    Tensor e = device.of(4, 3, 1, -2, 0.5, 0.2, 0.1, -0.3, 0, 0, 0, 0.4, 3, 1);
    Tensor dOut = normal(5, 4);
    Tensor dP = device.zeros(5, 3);
    Tensor dE = device.zeros(4, 3);
    kernels.directionsBackward(dP, dE, dOut, p, e, LEAST_NORM);
    assertGradient(p, dP, dOut, at -> compared(at, e));
    assertGradient(e, dE, dOut, at -> compared(p, at));
  }

  private static Tensor compared(Tensor p, Tensor e) {
    Tensor out = device.zeros(p.rows(), e.rows());
    kernels.directionsForward(out, p, e, LEAST_NORM);
    return out;
  }

  @Test
  void shouldMatchFiniteDifferenceWhenBiasAndMatmulRunBackward() {
    Tensor x = normal(3, 4);
    Tensor weight = normal(4, 2);
    Tensor bias = normal(1, 2);
    Tensor dOut = normal(3, 2);
    Tensor dX = device.zeros(3, 4);
    Tensor dWeight = device.zeros(4, 2);
    Tensor dBias = device.zeros(1, 2);
    kernels.matmul(dX, dOut, false, weight, true, false);
    kernels.matmul(dWeight, x, true, dOut, false, true);
    kernels.sumRows(dBias, dOut);
    assertGradient(x, dX, dOut, at -> affine(at, weight, bias));
    assertGradient(weight, dWeight, dOut, at -> affine(x, at, bias));
    assertGradient(bias, dBias, dOut, at -> affine(x, weight, at));
  }

  private static Tensor affine(Tensor x, Tensor weight, Tensor bias) {
    Tensor out = device.zeros(x.rows(), weight.columns());
    kernels.matmul(out, x, false, weight, false, false);
    kernels.addBias(out, bias);
    return out;
  }

  /**
   * Compares {@code gradient} with the slope of {@code sum(dOut * forward(at))} in every element.
   */
  private static void assertGradient(
      Tensor at, Tensor gradient, Tensor dOut, Function<Tensor, Tensor> forward) {
    double[] values = at.toDoubles();
    double[] weights = dOut.toDoubles();
    double[] found = gradient.toDoubles();
    for (int i = 0; i < values.length; i++) {
      double slope =
          (objective(at, values, i, STEP, weights, forward)
                  - objective(at, values, i, -STEP, weights, forward))
              / (2 * STEP);
      assertEquals(slope, found[i], TOLERANCE * Math.max(1, Math.abs(slope)), "element " + i);
    }
  }

  private static double objective(
      Tensor like,
      double[] values,
      int element,
      double step,
      double[] weights,
      Function<Tensor, Tensor> forward) {
    double[] moved = values.clone();
    moved[element] += step;
    double[] out = forward.apply(device.of(like.rows(), like.columns(), moved)).toDoubles();
    double sum = 0;
    for (int i = 0; i < out.length; i++) {
      sum += weights[i] * out[i];
    }
    return sum;
  }

  private Tensor normal(int rows, int columns) {
    Tensor tensor = device.allocate(rows, columns);
    tensor.set(random.doubles(tensor.size()).map(u -> 4 * u - 2).toArray());
    return tensor;
  }
}
