package troupe.core.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import troupe.core.tensor.Device;
import troupe.core.tensor.Devices;
import troupe.core.tensor.Tensor;

final class ParameterLayoutTest {
  private static final ParameterLayout LAYOUT =
      new ParameterLayout(
          List.of(
              ParameterSpec.vector("b", 3, 0.5),
              ParameterSpec.matrix("w", 5, 7, 1),
              ParameterSpec.vector("g", 17, 1),
              ParameterSpec.matrix("v", 2, 8, 2)));

  @Test
  void shouldPutWhatDecaysFirstAndEachOnACacheLine() {
    assertEquals(0, LAYOUT.offset("w"));
    assertEquals(48, LAYOUT.offset("v"));
    assertEquals(64, LAYOUT.decayed());
    assertEquals(64, LAYOUT.offset("b"));
    assertEquals(80, LAYOUT.offset("g"));
    assertEquals(112, LAYOUT.size());
    assertEquals(3 + 35 + 17 + 16, LAYOUT.parameterCount());
  }

  @Test
  void shouldPutWhatNoOptimizerTouchesLast() {
    ParameterLayout layout =
        new ParameterLayout(
            List.of(
                ParameterSpec.state("s", 5, 2),
                ParameterSpec.vector("b", 3, 0.5),
                ParameterSpec.matrix("w", 5, 7, 1)));
    assertEquals(48, layout.decayed());
    assertEquals(64, layout.optimized());
    assertEquals(64, layout.offset("s"));
    assertEquals(80, layout.size());
    assertEquals(LAYOUT.size(), LAYOUT.optimized());
  }

  @Test
  void shouldKeepTheCanonicalOrder() {
    assertEquals(
        List.of("b", "w", "g", "v"), LAYOUT.specs().stream().map(ParameterSpec::name).toList());
  }

  @Test
  void shouldNameTheChoicesWhenANameIsUnknown() {
    String message =
        assertThrows(IllegalArgumentException.class, () -> LAYOUT.offset("x")).getMessage();
    assertTrue(message.startsWith("parameter: x (expected: one of ["), message);
  }

  @Test
  void shouldRefuseTwoOfTheSameName() {
    List<ParameterSpec> twice =
        List.of(ParameterSpec.vector("b", 3, 0), ParameterSpec.matrix("b", 5, 7, 1));
    assertThrows(IllegalArgumentException.class, () -> new ParameterLayout(twice));
  }

  @Test
  void shouldZeroAllButSome() {
    for (List<String> kept :
        List.of(List.<String>of(), List.of("w"), List.of("v", "b"), List.of("w", "v", "b", "g"))) {
      try (Device device = Devices.open("reference");
          Parameters parameters = new Parameters(device, LAYOUT)) {
        device.kernels().fill(parameters.flat(), 1);
        parameters.zeroAllBut(Set.copyOf(kept));
        for (ParameterSpec spec : LAYOUT.specs()) {
          double[] values = new double[(int) spec.size()];
          Arrays.fill(values, kept.contains(spec.name()) ? 1 : 0);
          assertArrayEquals(values, parameters.get(spec.name()).toDoubles(), spec.name());
        }
        double left = Arrays.stream(parameters.flat().toDoubles()).sum();
        assertEquals(
            LAYOUT.specs().stream()
                .filter(spec -> kept.contains(spec.name()))
                .mapToLong(ParameterSpec::size)
                .sum(),
            left,
            "no padding");
      }
    }
  }

  @Test
  void shouldViewTheFlatBufferUnderTheirNames() {
    try (Device device = Devices.open("reference");
        Parameters parameters = Parameters.initialised(device, LAYOUT, 4)) {
      Tensor w = parameters.get("w");
      assertEquals(5, w.rows());
      assertEquals(7, w.columns());
      assertEquals(1, parameters.get("g").rows());
      double[] flat = parameters.flat().toDoubles();
      for (ParameterSpec spec : LAYOUT.specs()) {
        int from = (int) LAYOUT.offset(spec.name());
        assertArrayEquals(
            spec.init().values(4, spec.name(), (int) spec.size()),
            Arrays.copyOfRange(flat, from, from + (int) spec.size()));
      }
      assertEquals(0, flat[35], "padding");
      assertEquals(0, flat[67], "padding");
      assertThrows(IllegalArgumentException.class, () -> parameters.get("x"));
    }
  }
}
