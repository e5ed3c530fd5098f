package troupe.core.tensor;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What holds for the tensors of every device. */
class TensorTest {
  @ParameterizedTest
  @ValueSource(strings = {"reference", "cpu", "nd4j"})
  void shouldGiveBackWhatWasSet(String name) {
    try (Device device = Devices.open(name)) {
      Tensor tensor = device.of(2, 3, 1, 2, 3, 4, 5, -0.5);
      assertArrayEquals(new double[] {1, 2, 3, 4, 5, -0.5}, tensor.toDoubles());
      tensor.set(new float[] {6, 5, 4, 3, 2, 1});
      assertArrayEquals(new double[] {6, 5, 4, 3, 2, 1}, tensor.toDoubles());
      assertEquals(2.5, device.of(1, 1, 2.5).item());
      assertArrayEquals(new double[0], device.of(0, 3).toDoubles());
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"reference", "cpu", "nd4j"})
  void shouldShareMemoryWhenViewed(String name) {
    try (Device device = Devices.open(name)) {
      Tensor tensor = device.of(3, 2, 1, 2, 3, 4, 5, 6);
      Tensor rows = tensor.rows(1, 2);
      assertArrayEquals(new double[] {3, 4, 5, 6}, rows.toDoubles());
      Tensor inner = rows.reshape(1, 4).slice(1, 2, 1);
      assertArrayEquals(new double[] {4, 5}, inner.toDoubles());
      device.kernels().scale(inner, 10);
      inner.close();
      assertArrayEquals(new double[] {1, 2, 3, 40, 50, 6}, tensor.toDoubles());
      tensor.set(0, 0, 0, 7, 8, 0);
      assertArrayEquals(new double[] {7, 8}, inner.toDoubles());
      assertEquals(0, tensor.rows(3, 0).size());
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"reference", "cpu", "nd4j"})
  void shouldShareMemoryWithTheHost(String name) {
    try (Device device = Devices.open(name)) {
      Tensor view = device.of(2, 2, 1, 2, 3, 4).rows(1, 1);
      MemorySegment bytes = view.bytes();
      assertEquals(2L * device.dtype().bytes(), bytes.byteSize());
      if (device.dtype() == DType.F64) {
        bytes.setAtIndex(ValueLayout.JAVA_DOUBLE_UNALIGNED, 1, 9);
      } else {
        bytes.setAtIndex(ValueLayout.JAVA_FLOAT_UNALIGNED, 1, 9);
      }
      assertArrayEquals(new double[] {3, 9}, view.toDoubles());
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"reference", "cpu", "nd4j"})
  void shouldCountBytesUntilClosed(String name) {
    try (Device device = Devices.open(name)) {
      Tensor tensor = device.allocate(3, 5);
      tensor.rows(0, 1).close();
      assertEquals(15L * device.dtype().bytes(), device.allocatedBytes());
      tensor.close();
      tensor.close();
      assertEquals(0, device.allocatedBytes());
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"reference", "cpu", "nd4j"})
  void shouldRefuseUseAfterClose(String name) {
    try (Device device = Devices.open(name)) {
      Tensor tensor = device.zeros(2, 2);
      Tensor view = tensor.rows(0, 1);
      tensor.close();
      // Somebody else gets the memory now; the old handle must not reach it.
      Tensor other = device.zeros(2, 2);
      assertMessage("tensor: closed (expected: open)", tensor::toDoubles);
      assertMessage("tensor: closed (expected: open)", view::toDoubles);
      assertMessage("tensor: closed (expected: open)", () -> device.kernels().fill(view, 1));
      assertArrayEquals(new double[4], other.toDoubles());
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"cpu", "nd4j"})
  void shouldRefuseUseWhenDeviceIsClosed(String name) {
    Device device = Devices.open(name);
    Tensor tensor = device.zeros(2, 2);
    device.close();
    assertMessage("device: closed (expected: open)", tensor::toDoubles);
    assertMessage("device: closed (expected: open)", () -> device.allocate(1, 1));
    tensor.close();
    device.close();
  }

  @ParameterizedTest
  @ValueSource(strings = {"reference", "cpu", "nd4j"})
  void shouldRefuseImpossibleShapes(String name) {
    try (Device device = Devices.open(name)) {
      assertArgument("rows: -1 (expected: >= 0)", () -> device.allocate(-1, 1));
      assertArgument("columns: 0 (expected: >= 1)", () -> device.allocate(1, 0));
      Tensor tensor = device.zeros(2, 3);
      assertArgument("reshape: 4 x 2 (expected: 6 elements)", () -> tensor.reshape(4, 2));
      assertArgument(
          "view: 2 x 3 from element 3 (expected: inside 6 elements)", () -> tensor.rows(1, 2));
      assertArgument(
          "view: 1 x 1 from element -1 (expected: inside 6 elements)",
          () -> tensor.slice(-1, 1, 1));
      assertArgument("values: length 5 (expected: length 6)", () -> tensor.set(new double[5]));
      assertArgument("values: length 7 (expected: length 6)", () -> tensor.set(new float[7]));
      assertArgument("item: 2 x 3 (expected: 1 x 1)", tensor::item);
    }
  }

  private static void assertMessage(String message, Executable call) {
    assertEquals(message, assertThrows(IllegalStateException.class, call).getMessage());
  }

  private static void assertArgument(String message, Executable call) {
    assertEquals(message, assertThrows(IllegalArgumentException.class, call).getMessage());
  }
}
