package troupe.core.tensor.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import troupe.core.tensor.Activation;
import troupe.core.tensor.Kernels;
import troupe.core.tensor.Tensor;
import troupe.core.tensor.cuda.driver.FakeCuda;

/** What kernels refuse, without a GPU. */
class OperandsTest {
  private static final int ROWS = 3;
  private static final int FF = 16;

  @Test
  void shouldRefuseWhatIsNoWholeVector() {
    try (CudaDevice device = FakeDevice.on(new FakeCuda());
        Tensor longer = device.allocateActivations(1, ROWS * FF + 1);
        Tensor out = device.allocateActivations(ROWS, FF);
        Tensor kept = device.allocateActivations(ROWS, FF / 2);
        Tensor x = device.allocateActivations(ROWS, FF);
        Tensor w = device.zeros(FF, FF);
        Tensor bias = device.zeros(1, FF)) {
      Kernels kernels = device.kernels();
      Tensor odd = longer.slice(1, ROWS, FF);
      Tensor oddKept = longer.slice(1, ROWS, FF / 2);
      assertRefused(
          "out_RF: begins 2 bytes beyond (expected: at a multiple of 16)",
          () -> kernels.linearActivation(odd, kept, x, w, bias, Activation.RELU));
      assertRefused(
          "kept: begins 2 bytes beyond (expected: at a multiple of 8)",
          () -> kernels.linearActivation(out, oddKept, x, w, bias, Activation.RELU));
      assertRefused(
          "dPre: begins 2 bytes beyond (expected: at a multiple of 16)",
          () -> kernels.linearActivationBackward(odd, x, w, kept, Activation.GELU));
      assertRefused(
          "kept: begins 2 bytes beyond (expected: at a multiple of 8)",
          () -> kernels.linearActivationBackward(out, x, w, oddKept, Activation.GELU));
    }
  }

  private static void assertRefused(String message, Executable work) {
    assertEquals(message, assertThrows(IllegalArgumentException.class, work).getMessage());
  }
}
