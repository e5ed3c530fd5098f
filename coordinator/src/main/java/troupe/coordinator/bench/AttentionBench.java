package troupe.coordinator.bench;

import troupe.core.UserException;
import troupe.core.tensor.Device;
import troupe.core.tensor.Kernels;
import troupe.core.tensor.Tensor;

/** Times causal attention alone, forward and backward. */
public final class AttentionBench {
  private AttentionBench() {}

  /**
   * What attends.
   *
   * @param batch sequences
   * @param headSize channels of a head
   */
  public record Shape(int batch, int seq, int heads, int headSize) {
    /**
     * {@code 4 b h s^2 size / 2}: two products of s x s x size a head, two operations an element,
     * and half of it for queries see earlier keys only.
     */
    public double forwardFlops() {
      return 4.0 * batch * heads * seq * seq * headSize / 2;
    }

    /** Five products where forward has two: that of the scores is done again. */
    public double backwardFlops() {
      return 2.5 * forwardFlops();
    }

    int tokens() {
      return batch * seq;
    }

    int width() {
      return heads * headSize;
    }
  }

  /**
   * Milliseconds of each repetition.
   *
   * @param bothMs forward followed by backward
   */
  public record Result(
      Shape shape, String device, double[] forwardMs, double[] backwardMs, double[] bothMs) {}

  /**
   * Measures.
   *
   * @throws UserException for heads that the device's kernels do not know
   */
  public static Result run(Device device, Shape shape, Repeats repeats) {
    try (ScratchTensors scratch = new ScratchTensors(device);
        DeviceTimer timer = new DeviceTimer(device, repeats)) {
      Pass pass = new Pass(device, scratch, shape);
      try {
        pass.forward();
      } catch (IllegalArgumentException e) {
        throw new UserException(e.getMessage(), "another --head-size", e);
      }
      return new Result(
          shape,
          device.name(),
          timer.kernelMs(pass::forward),
          timer.kernelMs(pass::backward),
          timer.kernelMs(
              () -> {
                pass.forward();
                pass.backward();
              }));
    }
  }

  /** Attention over tensors that stay. */
  static final class Pass {
    private final Kernels kernels;
    private final Shape shape;
    private final Tensor qkv_T3D;
    private final Tensor out_TD;
    private final Tensor saved;
    private final Tensor dOut_TD;
    private final Tensor dQkv_T3D;

    Pass(Device device, ScratchTensors scratch, Shape shape) {
      this.kernels = device.kernels();
      this.shape = shape;
      this.qkv_T3D = scratch.normal(shape.tokens(), 3 * shape.width());
      this.out_TD = scratch.output(shape.tokens(), shape.width());
      this.saved = scratch.own(kernels.allocateAttentionSaved(shape.batch, shape.seq, shape.heads));
      this.dOut_TD = scratch.normal(shape.tokens(), shape.width());
      this.dQkv_T3D = scratch.output(shape.tokens(), 3 * shape.width());
    }

    void forward() {
      kernels.attentionForward(out_TD, saved, qkv_T3D, shape.batch, shape.heads);
    }

    /** After {@link #forward}. */
    void backward() {
      kernels.attentionBackward(
          dQkv_T3D, dOut_TD, qkv_T3D, out_TD, saved, shape.batch, shape.heads);
    }
  }
}
