package troupe.core.tensor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.openblas.global.openblas_nolapack;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import troupe.core.UserException;

class DevicesTest {
  @ParameterizedTest
  @CsvSource({"reference, reference, F64", "cpu, cpu, F32", "nd4j, nd4j, F32", "auto, cpu, F32"})
  void shouldOpenDeviceByName(String name, String expected, DType dtype) {
    try (Device device = Devices.open(name)) {
      assertEquals(expected, device.name());
      assertEquals(dtype, device.dtype());
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"cpu", "nd4j"})
  void shouldKeepProductsOnTheirCallersThread(String name) {
    try (Device device = Devices.open(name)) {
      Tensor square = device.zeros(64, 64);
      device.kernels().matmul(device.zeros(64, 64), square, false, square, false, false);
      assertEquals(1, openblas_nolapack.blas_get_num_threads());
    }
  }

  @Test
  void shouldNameTheChoicesWhenDeviceIsUnknown() {
    String message = assertThrows(UserException.class, () -> Devices.open("gpu")).getMessage();
    assertTrue(
        message.startsWith("device: gpu (expected: cpu, cuda, cuda:0, nd4j, reference"), message);
  }

  @Test
  void shouldNotLoadNativeLibrariesWhenReferenceIsOpened() throws ReflectiveOperationException {
    Strict loader = new Strict();
    Object device =
        loader
            .loadClass(Devices.class.getName())
            .getMethod("open", String.class)
            .invoke(null, "reference");
    // Through the interface, since the classes of this loader are not those of the test.
    Class<?> type = loader.loadClass(Device.class.getName());
    Object tensor = type.getMethod("zeros", int.class, int.class).invoke(device, 2, 2);
    assertEquals(4L, loader.loadClass(Tensor.class.getName()).getMethod("size").invoke(tensor));
    assertEquals(List.of(), loader.refused);
  }

  /** Loads this project's classes itself, and none of the libraries that devices bring. */
  private static final class Strict extends ClassLoader {
    private final List<String> refused = new ArrayList<>();

    private Strict() {
      super(DevicesTest.class.getClassLoader());
    }

    @Override
    protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
      if (name.startsWith("org.nd4j.") || name.startsWith("org.bytedeco.")) {
        refused.add(name);
        throw new ClassNotFoundException(name);
      }
      Class<?> loaded = findLoadedClass(name);
      if (loaded != null) {
        return loaded;
      }
      return name.startsWith("troupe.") ? define(name) : super.loadClass(name, resolve);
    }

    private Class<?> define(String name) throws ClassNotFoundException {
      try (InputStream in = getResourceAsStream(name.replace('.', '/') + ".class")) {
        byte[] bytes = in.readAllBytes();
        return defineClass(name, bytes, 0, bytes.length);
      } catch (IOException e) {
        throw new ClassNotFoundException(name, e);
      }
    }
  }
}
