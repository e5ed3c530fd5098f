package troupe.coordinator.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import troupe.core.UserException;
import troupe.core.config.GateConfig;
import troupe.core.config.GateConfig.JitterOn;
import troupe.core.config.GateConfig.Mask;
import troupe.core.config.GateType;
import troupe.core.tensor.Device;
import troupe.core.tensor.RoutingKernels.Choice;
import troupe.core.tensor.Tensor;
import troupe.core.tensor.cpu.CpuDevice;

class MoeLayerBenchTest {
  private static final MoeLayerBench.Shape SHAPE = new MoeLayerBench.Shape(96, 16, 24, 3, 1);

  @Test
  void shouldTimeTheRealRouterAndAnEvenLoad() {
    try (RoutingDevice device = new RoutingDevice()) {
      MoeLayerBench.Result result = MoeLayerBench.run(device, SHAPE, new Repeats(0, 3));
      assertEquals(3, result.real().ms().length);
      assertEquals(3, result.balanced().ms().length);
      assertTrue(Arrays.stream(result.real().ms()).allMatch(ms -> ms > 0));
      assertTrue(Arrays.stream(result.balanced().ms()).allMatch(ms -> ms > 0));
      assertTrue(result.real().imbalance() > 1);
      assertEquals(1, result.balanced().imbalance());
      // Nothing but its own kernels could time this device.
      assertTrue(result.kernelMs().isEmpty());
      Choice real = Choice.SPARSE_MIXER;
      Choice even = Choice.BALANCED;
      assertEquals(List.of(real, real, real, even, even, even), device.choices);
      assertEquals(List.of(1L, 2L, 3L, 1L, 2L, 3L), device.steps);
      assertEquals(0, device.allocatedBytes());
    }
  }

  @Test
  void shouldReachEveryGradient() {
    try (RoutingDevice device = new RoutingDevice();
        ScratchTensors scratch = new ScratchTensors(device)) {
      MoeLayerPass.Inputs inputs = MoeLayerPass.Inputs.draw(device, scratch, SHAPE);
      GateConfig gate =
          GateConfig.topOne(GateType.SPARSEMIXER, true, 0.1, JitterOn.LOGITS, Mask.CODE);
      new MoeLayerPass(device, SHAPE, inputs, gate).run();
      for (Tensor gradient : List.of(inputs.dW_DE(), inputs.dB_1E(), inputs.dOmega_1D())) {
        assertNotZero(gradient);
      }
      for (int e = 0; e < SHAPE.experts(); e++) {
        for (String name : List.of("w1", "b1", "w2", "b2")) {
          assertNotZero(inputs.gradients().get(e).get("expert." + name));
        }
      }
    }
  }

  @Test
  void shouldSendTokensToSeveralExperts() {
    MoeLayerBench.Shape shape = new MoeLayerBench.Shape(96, 16, 24, 3, 2);
    assertEquals(3 * 2 * 2 * 96.0 * 2 * 16 * 24, shape.flops());
    try (RoutingDevice device = new RoutingDevice()) {
      MoeLayerBench.Result result = MoeLayerBench.run(device, shape, new Repeats(0, 1));
      assertTrue(result.real().imbalance() > 1);
      assertEquals(1, result.balanced().imbalance());
      assertEquals(List.of(Choice.ROUNDS, Choice.BALANCED), device.choices);
      assertEquals(0, device.allocatedBytes());
    }
  }

  private static void assertNotZero(Tensor gradient) {
    double[] values = gradient.toDoubles();
    assertTrue(Arrays.stream(values).allMatch(Double::isFinite));
    assertTrue(Arrays.stream(values).filter(x -> x != 0).count() > values.length / 2);
  }

  @Test
  void shouldCountTheProductsOfExperts() {
    assertEquals(3 * 2 * 2 * 96.0 * 16 * 24, SHAPE.flops());
  }

  @Test
  void shouldRefuseADeviceThatDoesNotRoute() {
    try (Device device = new CpuDevice()) {
      UserException refused =
          assertThrows(
              UserException.class, () -> MoeLayerBench.run(device, SHAPE, new Repeats(0, 1)));
      assertTrue(refused.getMessage().startsWith("device: cpu (expected: "), refused::getMessage);
    }
  }
}
