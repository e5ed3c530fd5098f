package troupe.core.tensor.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import troupe.core.tensor.AdamWStep;
import troupe.core.tensor.Kernels;
import troupe.core.tensor.Tensor;
import troupe.core.tensor.WeightGradient;
import troupe.core.tensor.cuda.driver.FakeCuda;

/** Which gradients' squares are known, without a GPU. */
class GradientSquaresTest {
  private static final int ROWS = 24;
  private static final int COLUMNS = 264;
  private static final int MATRIX = ROWS * COLUMNS;

  private final FakeCuda cuda = new FakeCuda();
  private final CudaDevice device = FakeDevice.on(cuda);
  private final Kernels kernels = device.kernels();
  private final Tensor flat = device.allocate(1, 2 * MATRIX + COLUMNS);
  private final Tensor dW = flat.slice(0, ROWS, COLUMNS);
  private final Tensor dB = flat.slice(MATRIX, 1, COLUMNS);
  private final Tensor other = flat.slice(MATRIX + COLUMNS, ROWS, COLUMNS);
  private final Tensor x = device.allocateActivations(16, ROWS);
  private final Tensor dOut = device.allocateActivations(16, COLUMNS);
  private final Tensor matrix = device.allocate(ROWS, COLUMNS);
  private final Tensor row = device.allocate(1, COLUMNS);
  private final Tensor one = device.allocate(1, 1);

  @AfterEach
  void close() {
    List.of(flat, x, dOut, matrix, row, one).forEach(Tensor::close);
    assertEquals(0, device.allocatedBytes());
    device.close();
    assertEquals(List.of(), cuda.open());
  }

  private void multiply() {
    device.concurrently(
        0,
        () -> {
          kernels.weightGradient(dW, dB, x, dOut, false);
          kernels.weightGradient(other, null, x, dOut, true);
        });
  }

  /** The matrix, what is between, the other matrix; less if one is known no longer. */
  private int pieces() {
    return pieces(flat);
  }

  private static int pieces(Tensor tensor) {
    return CudaTensor.of(tensor).squaredPieces().count();
  }

  private static boolean isKnown(Tensor tensor) {
    return CudaTensor.of(tensor).squaredPieces().areFew();
  }

  private long launches(Runnable work) {
    device.gpu().stream(); // with what was put off
    int before = cuda.calls().size();
    work.run();
    return cuda.calls().stream().skip(before).filter("cuLaunchKernelEx"::equals).count();
  }

  @Test
  void shouldTakeOneLaunchWhereProductsSummedSquares() {
    assertFalse(isKnown(flat));
    assertEquals(2, launches(() -> kernels.sumSquares(one, flat)));
    multiply();
    assertTrue(isKnown(flat));
    assertEquals(3, pieces());
    assertEquals(1, launches(() -> kernels.sumSquares(one, flat)));
  }

  @Test
  void shouldCountThePlacesOfSumsAsHeld() {
    long before = device.allocatedBytes();
    multiply();
    long sums = flat.size() / SquaredMatrices.ELEMENTS_OF_A_SUM * Float.BYTES;
    assertEquals(before + sums, device.allocatedBytes());
    multiply();
    assertEquals(before + sums, device.allocatedBytes());
  }

  @Test
  void shouldNotKnowWhatOtherProductsWrite() {
    kernels.weightGradient(dW, dB, x, dOut, false);
    assertFalse(isKnown(flat));
    multiply();
    kernels.weightGradient(dW, dB, x, dOut, false);
    assertFalse(isKnown(dW));
    assertTrue(isKnown(other));
  }

  @Test
  void shouldForgetWhatWasWrittenSince() {
    AdamWStep step = new AdamWStep(1e-2, 0.9, 0.99, 1e-8, 3, 0.5);
    Tensor last = dW.rows(ROWS - 1, 1);
    List<Runnable> writes =
        List.of(
            () -> kernels.fill(last, 0),
            () -> kernels.fill(last, 1),
            () -> kernels.copy(last, row),
            () -> kernels.copy(last, dOut.rows(0, 1)),
            () -> kernels.add(last, row),
            () -> kernels.multiply(last, row, row),
            () -> kernels.scale(last, 2),
            () -> kernels.adamw(dW, matrix, matrix, matrix, step, 0),
            () -> kernels.adamw(matrix, dW, matrix, matrix, step, 0),
            () -> kernels.adamw(matrix, matrix, dW, matrix, step, 0),
            () -> kernels.addBias(last, row),
            () -> kernels.sumRows(last, dOut),
            () -> kernels.matmul(dW, x, true, dOut, false, true),
            () -> last.set(new float[COLUMNS]),
            () -> copyFromHost(last));
    for (Runnable write : writes) {
      multiply();
      assertEquals(3, pieces());
      write.run();
      assertEquals(2, pieces(), "the other matrix, and what is before it");
    }
  }

  @Test
  void shouldForgetWhatALaunchOfTheTrunkWrote() {
    int outputs = 256 * 8; // so many fill the GPU
    try (Tensor input = device.allocateActivations(16, 64);
        Tensor dOutput = device.allocateActivations(16, outputs);
        Tensor first = device.allocate(64, outputs);
        Tensor second = device.allocate(64, outputs)) {
      device.concurrently(0, () -> kernels.weightGradient(first, null, input, dOutput, false));
      assertTrue(isKnown(first));
      List<WeightGradient> both =
          List.of(
              new WeightGradient(first, null, input, dOutput, true),
              new WeightGradient(second, null, input, dOutput, false));
      assertEquals(1, launches(() -> kernels.weightGradients(both)));
      assertFalse(isKnown(first));
      assertFalse(isKnown(second));
    }
  }

  private static void copyFromHost(Tensor to) {
    try (Arena arena = Arena.ofConfined()) {
      to.copyFrom(arena.allocate(to.size() * Float.BYTES, Float.BYTES));
    }
  }

  @Test
  void shouldKeepWhatNobodyWrites() {
    multiply();
    kernels.fill(dB, 0);
    kernels.sumRows(dB, dOut);
    kernels.copy(matrix, dW);
    kernels.adamw(matrix, matrix, matrix, dW, new AdamWStep(1e-2, 0.9, 0.99, 1e-8, 3, 0.5), 0);
    assertEquals(3, pieces());
  }

  @Test
  void shouldReadAllWhereMuchIsNotKnown() {
    try (Tensor large = device.allocate(1, MATRIX + (1 << 16))) {
      device.concurrently(
          0, () -> kernels.weightGradient(large.slice(0, ROWS, COLUMNS), null, x, dOut, false));
      assertFalse(isKnown(large));
      assertTrue(isKnown(large.slice(0, 1, MATRIX + 8)));
    }
  }
}
