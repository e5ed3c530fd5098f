package troupe.core.tensor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** What a wrong call is told. */
class CheckedKernelsTest {
  private final Device device = Devices.open("reference");
  private final Kernels kernels = device.kernels();

  @AfterEach
  void close() {
    device.close();
  }

  @Test
  void shouldNameTheArgumentWhenShapesDisagree() {
    assertRefused("in: 2 x 2 (expected: 2 x 3)", () -> kernels.copy(of(2, 3), of(2, 2)));
    assertRefused("in: 3 x 2 (expected: 2 x 3)", () -> kernels.add(of(2, 3), of(3, 2)));
    assertRefused(
        "b: 1 x 1 (expected: 2 x 3)", () -> kernels.multiply(of(2, 3), of(2, 3), of(1, 1)));
    assertRefused("bias_1C: 1 x 4 (expected: 1 x 3)", () -> kernels.addBias(of(2, 3), of(1, 4)));
    assertRefused("out_1C: 2 x 3 (expected: 1 x 3)", () -> kernels.sumRows(of(2, 3), of(2, 3)));
    assertRefused("out_11: 1 x 3 (expected: 1 x 1)", () -> kernels.sumSquares(of(1, 3), of(2, 3)));
  }

  @Test
  void shouldNameTheArgumentWhenFactorsDoNotFit() {
    assertRefused(
        "b: 4 x 5 (expected: 3 x 5)",
        () -> kernels.matmul(of(2, 5), of(2, 3), false, of(4, 5), false, false));
    assertRefused(
        "b: 5 x 4 (expected: 5 x 3)",
        () -> kernels.matmul(of(2, 5), of(2, 3), false, of(5, 4), true, false));
    assertRefused(
        "out: 2 x 5 (expected: 3 x 5)",
        () -> kernels.matmul(of(2, 5), of(2, 3), true, of(2, 5), false, false));
  }

  @Test
  void shouldNameTheArgumentWhenDirectionsDoNotFit() {
    assertRefused(
        "e_EW: 4 x 3 (expected: 4 x 2)",
        () -> kernels.directionsForward(of(5, 4), of(5, 2), of(4, 3), 1));
    assertRefused(
        "out_DE: 4 x 5 (expected: 5 x 4)",
        () -> kernels.directionsForward(of(4, 5), of(5, 2), of(4, 2), 1));
    assertRefused(
        "dE_EW: 5 x 2 (expected: 4 x 2)",
        () -> kernels.directionsBackward(of(5, 2), of(5, 2), of(5, 4), of(5, 2), of(4, 2), 1));
  }

  @Test
  void shouldNameTheArgumentWhenActivationWidthsDisagree() {
    assertRefused(
        "pre: 2 x 3 (expected: 2 x 6)",
        () -> kernels.activationForward(of(2, 3), of(2, 3), Activation.SWIGLU));
    assertRefused(
        "dPre: 2 x 3 (expected: 2 x 6)",
        () -> kernels.activationBackward(of(2, 3), of(2, 3), of(2, 6), Activation.SWIGLU));
    assertRefused(
        "w: 5 x 4 (expected: 5 x 6)",
        () ->
            kernels.linearActivation(
                of(2, 3), of(2, 6), of(2, 5), of(5, 4), of(1, 4), Activation.SWIGLU));
    assertRefused(
        "kept: 2 x 3 (expected: 2 x 6)",
        () ->
            kernels.linearActivation(
                of(2, 3), of(2, 3), of(2, 5), of(5, 6), of(1, 6), Activation.SWIGLU));
    assertRefused(
        "kept: 2 x 3 (expected: 2 x 6)",
        () ->
            kernels.linearActivationBackward(
                of(2, 6), of(2, 5), of(3, 5), of(2, 3), Activation.SWIGLU));
    assertRefused(
        "dPre: 2 x 3 (expected: 2 x 6)",
        () ->
            kernels.linearActivationBackward(
                of(2, 3), of(2, 5), of(3, 5), of(2, 6), Activation.SWIGLU));
  }

  @Test
  void shouldNameTheIndexWhenOneIsOutOfRange() {
    int[] tokens = {0, 7};
    assertRefused(
        "tokens_T[1]: 7 (expected: >= 0 and < 7)",
        () -> kernels.embeddingForward(of(2, 3), tokens, of(7, 3), of(2, 3), 2));
    assertRefused(
        "tokenOfRow_R[0]: -1 (expected: >= 0 and < 4)",
        () -> kernels.gatherRows(of(1, 3), of(4, 3), new int[] {-1}));
    assertRefused(
        "targets_T[0]: 3 (expected: >= 0 and < 3)",
        () -> kernels.crossEntropy(of(1, 1), null, of(1, 3), new int[] {3}, 1));
    assertRefused(
        "targets_T: length 2 (expected: length 1)",
        () -> kernels.crossEntropy(of(1, 1), null, of(1, 3), new int[2], 1));
    assertRefused(
        "seq: 3 (expected: <= 2)",
        () -> kernels.embeddingForward(of(2, 3), new int[2], of(7, 3), of(2, 3), 3));
  }

  @Test
  void shouldNameTheNumberWhenHeadsDoNotDivide() {
    Tensor saved = kernels.allocateAttentionSaved(2, 2, 2);
    assertRefused(
        "heads: 2 (expected: a divisor of 3)",
        () -> kernels.attentionForward(of(4, 3), saved, of(4, 9), 2, 2));
    assertRefused(
        "batch: 3 (expected: a divisor of 4)",
        () -> kernels.attentionForward(of(4, 2), saved, of(4, 6), 3, 2));
    assertRefused(
        "qkv_T3D: 4 x 7 (expected: 4 x 6)",
        () -> kernels.attentionForward(of(4, 2), saved, of(4, 7), 2, 2));
    assertRefused(
        "saved: 8 x 2 (expected: 4 x 2)",
        () -> kernels.attentionForward(of(4, 2), saved, of(4, 6), 2, 1));
  }

  @Test
  void shouldAskForBothOmegasOrNone() {
    assertRefused(
        "dOmega_1D: null (expected: null exactly where omega_1D is null)",
        () ->
            kernels.combineBackward(
                of(1, 3), of(1, 1), null, of(2, 3), of(1, 3), new int[1], new double[1], of(1, 3)));
  }

  @Test
  void shouldRefuseTheZerothStep() {
    AdamWStep step = new AdamWStep(1e-3, 0.9, 0.99, 1e-8, 0, 1);
    assertRefused(
        "step: 0 (expected: >= 1)",
        () -> kernels.adamw(of(1, 3), of(1, 3), of(1, 3), of(1, 3), step, 0));
  }

  @Test
  void shouldRefuseTensorsOfAnotherDevice() {
    try (Device other = Devices.open("reference")) {
      Tensor stranger = other.zeros(2, 3);
      assertRefused(
          "in: on reference (expected: on this reference)", () -> kernels.copy(of(2, 3), stranger));
    }
  }

  private Tensor of(int rows, int columns) {
    return device.zeros(rows, columns);
  }

  private static void assertRefused(String message, Executable call) {
    assertEquals(message, assertThrows(IllegalArgumentException.class, call).getMessage());
  }
}
