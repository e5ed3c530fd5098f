package troupe.core.tensor;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

class AdamWTest {
  /** Double precision over a dozen operations. */
  private static final double TOLERANCE = 1e-14;

  @Test
  void shouldMatchThePaperWhenStepIsTheFirst() {
    try (Device device = Devices.open("reference")) {
      Tensor param = device.of(1, 1, 2);
      Tensor m = device.zeros(1, 1);
      Tensor v = device.zeros(1, 1);
      // With m = v = 0 the bias corrections cancel the decays: the update is lr * g / (|g| + eps).
      AdamWStep step = new AdamWStep(0.1, 0.9, 0.99, 1e-8, 1, 0.5);
      device.kernels().adamw(param, m, v, device.of(1, 1, -6), step, 0.25);
      assertEquals(2 * (1 - 0.1 * 0.25) + 0.1 * 3 / (3 + 1e-8), param.item(), TOLERANCE);
      assertEquals(-0.3, m.item(), TOLERANCE);
      assertEquals(0.09, v.item(), TOLERANCE);
    }
  }
}
