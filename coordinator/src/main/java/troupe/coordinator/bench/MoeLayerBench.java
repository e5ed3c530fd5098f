package troupe.coordinator.bench;

import java.util.Map;
import troupe.core.UserException;
import troupe.core.config.GateConfig;
import troupe.core.config.GateConfig.JitterOn;
import troupe.core.config.GateConfig.Mask;
import troupe.core.config.GateType;
import troupe.core.tensor.Device;

/**
 * Times a mixture-of-experts layer forward and backward: with SparseMixer, that of several experts
 * a token where there are, and with a forced even load.
 */
public final class MoeLayerBench {
  private static final double JITTER = 0.1;

  private MoeLayerBench() {}

  /**
   * Sizes of a layer.
   *
   * @param k experts of a token
   */
  public record Shape(int tokens, int d, int ff, int experts, int k) {
    /** Rows of all experts. */
    public int rows() {
      return Math.multiplyExact(tokens, k);
    }

    /**
     * {@code 3 * 2 * 2 * tokens * k * d * ff}: two products forward and twice as many backward, two
     * operations a product's element. Experts alone; a router has next to none.
     */
    public double flops() {
      return 12.0 * rows() * d * ff;
    }
  }

  /**
   * How long one kind of routing took.
   *
   * @param ms milliseconds of each repetition
   * @param imbalance rows of the busiest expert over the mean
   */
  public record Timing(double[] ms, double imbalance) {}

  /**
   * What was measured.
   *
   * @param kernelMs milliseconds of one repetition with the real router by kernel, idle time
   *     included; empty where the device does not time its kernels
   */
  public record Result(
      Shape shape, String device, Timing real, Timing balanced, Map<String, Double> kernelMs) {}

  /**
   * Measures.
   *
   * @throws UserException if the device does not route
   */
  public static Result run(Device device, Shape shape, Repeats repeats) {
    if (device.routing() == null) {
      throw new UserException(
          "device: " + device.name() + " (expected: one that routes tokens itself, as cuda does)",
          "on " + device.name() + " use troupe bench train CONFIG, which runs whole steps there");
    }
    try (ScratchTensors scratch = new ScratchTensors(device);
        DeviceTimer timer = new DeviceTimer(device, repeats)) {
      MoeLayerPass.Inputs inputs = MoeLayerPass.Inputs.draw(device, scratch, shape);
      GateType sampled = shape.k() == 1 ? GateType.SPARSEMIXER : GateType.SPARSEMIXER_V2;
      MoeLayerPass real = new MoeLayerPass(device, shape, inputs, gate(sampled, shape.k()));
      MoeLayerPass balanced =
          new MoeLayerPass(device, shape, inputs, gate(GateType.BALANCED, shape.k()));
      double[] realMs = timer.wallMs(real::run);
      double[] balancedMs = timer.wallMs(balanced::run);
      return new Result(
          shape,
          device.name(),
          new Timing(realMs, real.imbalance()),
          new Timing(balancedMs, balanced.imbalance()),
          timer.profileMs(real::run));
    }
  }

  private static GateConfig gate(GateType type, int k) {
    return GateConfig.topOne(type, true, JITTER, JitterOn.LOGITS, Mask.CODE).with(type, k);
  }
}
