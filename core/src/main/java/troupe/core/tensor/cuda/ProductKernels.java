package troupe.core.tensor.cuda;

import static troupe.core.tensor.cuda.Operands.aligned;
import static troupe.core.tensor.cuda.Operands.bf16;
import static troupe.core.tensor.cuda.Operands.f32;
import static troupe.core.tensor.cuda.Operands.in;
import static troupe.core.tensor.cuda.Operands.isBf16;
import static troupe.core.tensor.cuda.Operands.out;
import static troupe.core.tensor.cuda.Operands.type;

import java.util.ArrayList;
import java.util.List;
import troupe.core.tensor.Activation;
import troupe.core.tensor.Tensor;
import troupe.core.tensor.WeightGradient;
import troupe.core.tensor.cuda.GroupedProducts.Kind;
import troupe.core.tensor.cuda.MatrixProducts.Product;

/**
 * Matrix products and the layers made of them: those of experts, and weight gradients that are
 * asked for at the same time, together by {@link GroupedProducts}, where it can do them; all others
 * by {@link MatrixProducts}.
 */
interface ProductKernels extends KernelPart {
  /** Slopes of a row that kernels take at a time. */
  int SLOPES = 8;

  /** Bytes of as many activations. */
  int VECTOR = 16;

  @Override
  default void matmul(
      Tensor out, Tensor a, boolean transposeA, Tensor b, boolean transposeB, boolean accumulate) {
    product(out, a, transposeA, b, transposeB, accumulate ? out : null, null);
  }

  @Override
  default void linear(Tensor out_RC, Tensor x, Tensor w, Tensor bias_1C, Tensor residual_RC) {
    product(out_RC, x, false, w, false, residual_RC, bias_1C);
  }

  private void product(
      Tensor out,
      Tensor a,
      boolean transposeA,
      Tensor b,
      boolean transposeB,
      Tensor added,
      Tensor bias) {
    if (out.size() == 0) {
      return;
    }
    int inner = transposeA ? a.rows() : a.columns();
    Kind kind = kind(out, a, transposeA, b, transposeB, added);
    if (kind != null
        && gather(new Operation(kind, out, null, a, b, inner, bias, null, added != null))) {
      return;
    }
    if (inner == 0) {
      if (added == null) {
        fill(out, 0);
      }
      return;
    }
    if (!isBf16(out) && !isBf16(b)) {
      exactProduct(out, a, transposeA, b, transposeB, added, bias);
      return;
    }
    if (added != null) {
      type("residual", added, out.dtype());
    }
    device()
        .products()
        .multiply(
            new Product(
                out(out),
                out.dtype(),
                out.rows(),
                out.columns(),
                inner,
                operand(a),
                transposeA,
                operand(b),
                transposeB,
                in(added),
                bias == null ? 0 : operand(bias)));
  }

  /** Which product of many it may be, or {@code null} for none. */
  private static Kind kind(
      Tensor out, Tensor a, boolean transposeA, Tensor b, boolean transposeB, Tensor added) {
    if (transposeA) {
      boolean gradient = !isBf16(out) && isBf16(a) && isBf16(b) && !transposeB;
      return gradient && (added == null || added == out) ? Kind.TN : null;
    }
    return !isBf16(out) || added != null ? null : transposeB ? Kind.NT : Kind.NN;
  }

  /**
   * Puts a product off that can be done together with those of other experts.
   *
   * @return whether that is so
   */
  private boolean gather(Operation its) {
    Kind kind = its.kind();
    Lanes lanes = device().gpu().lanes();
    if (!lanes.gathers() || (its.bias() != null && kind != Kind.NN && kind != Kind.NN_GELU)) {
      return false;
    }
    GroupedProducts.Product product = grouped(its);
    if (!product.fits()) {
      return false;
    }
    lanes.gather(
        kind == Kind.TN ? product.withSquares(CudaTensor.of(its.out()).sumsToWrite()) : product);
    return true;
  }

  /** A product of tensors that may be one of many; {@code null} for what it does not have. */
  record Operation(
      Kind kind,
      Tensor out,
      Tensor more,
      Tensor left,
      Tensor right,
      int inner,
      Tensor bias,
      Tensor rightSum,
      boolean accumulate) {
    static Operation weightGradient(
        Kind kind, Tensor dW, Tensor dB_1C, Tensor x, Tensor dOut_RC, boolean accumulate) {
      return new Operation(kind, dW, null, x, dOut_RC, x.rows(), null, dB_1C, accumulate);
    }
  }

  private GroupedProducts.Product grouped(Operation its) {
    return new GroupedProducts.Product(
        its.kind(),
        out(its.out()),
        out(its.more()),
        its.out().rows(),
        its.out().columns(),
        its.inner(),
        operand(its.left()),
        operand(its.right()),
        in(its.bias()),
        out(its.rightSum()),
        its.accumulate(),
        0);
  }

  /**
   * A product of bf16 and float32 that loses nothing of the float32: three bf16 hold all its bits,
   * so the product is three of bf16, side by side as one. The gate's logits and its gradient are of
   * this kind.
   */
  private void exactProduct(
      Tensor out,
      Tensor a,
      boolean transposeA,
      Tensor b,
      boolean transposeB,
      Tensor added,
      Tensor bias) {
    bf16("a", a);
    if (transposeB) {
      throw new IllegalArgumentException("b: float32, transposed (expected: as it is)");
    }
    int columns = b.columns();
    try (Tensor parts = device().allocateActivations(b.rows(), 3 * columns);
        Tensor thirds = device().allocate(out.rows(), 3 * columns);
        Tensor sum = added == null ? null : device().allocate(out.rows(), columns)) {
      launch(
          "split3_f32", Grid.strips(b.rows(), columns, 128), out(parts), in(b), b.rows(), columns);
      product(thirds, a, transposeA, parts, false, null, null);
      Tensor to = added == null ? out : sum;
      launch(
          "add_thirds",
          Grid.strips(out.rows(), columns, 128),
          out(to),
          in(thirds),
          in(bias),
          out.rows(),
          columns);
      if (added != null) {
        if (added != out) {
          copy(out, added);
        }
        add(out, sum);
      }
    }
  }

  /** The bf16 elements of a tensor, or those of its copy, brought up to date. */
  private long operand(Tensor tensor) {
    CudaTensor x = CudaTensor.of(tensor);
    if (isBf16(x)) {
      return x.address();
    }
    Block block = x.block();
    if (!block.isShadowCurrent()) {
      if (block.shadow() == 0) {
        block.allocateShadow();
      }
      launch(
          "cast_f32_bf16",
          Grid.line(Math.ceilDiv(block.elements(), 4096), 256),
          block.shadow(),
          block.address(),
          block.elements());
      block.shadowIsCurrent();
    }
    return x.shadowAddress();
  }

  /**
   * Whether the slope of an activation is kept, so that the backward pass only multiplies, rather
   * than what was before it. SwiGLU has two slopes, which take more time to write than to compute;
   * where rows are no whole vectors nothing is worth it. It has nothing to do with which way the
   * products go: forward and backward may go different ones.
   */
  private static boolean keepsSlope(int ff, Activation activation) {
    return activation != Activation.SWIGLU && ff % SLOPES == 0;
  }

  /** Of a slope a byte is kept, and two of them are as large as an activation. */
  @Override
  default int keptWidth(int ff, Activation activation) {
    return keepsSlope(ff, activation) ? ff / 2 : KernelPart.super.keptWidth(ff, activation);
  }

  @Override
  default boolean overwritesKept(int ff, Activation activation) {
    return !keepsSlope(ff, activation);
  }

  @Override
  default void linearActivation(
      Tensor out_RF, Tensor kept, Tensor x, Tensor w, Tensor bias, Activation activation) {
    bf16("out_RF", out_RF);
    bf16("kept", kept);
    if (!keepsSlope(out_RF.columns(), activation)) {
      KernelPart.super.linearActivation(out_RF, kept, x, w, bias, activation);
      return;
    }
    if (out_RF.size() == 0) {
      return;
    }
    if (activation == Activation.GELU
        && gather(
            new Operation(Kind.NN_GELU, out_RF, kept, x, w, x.columns(), bias, null, false))) {
      return;
    }
    linear(out_RF, x, w, bias, null);
    launch(
        RowKernels.named("act_keep", activation),
        Grid.strips(out_RF.rows(), out_RF.columns(), 256),
        aligned("out_RF", out(out_RF), VECTOR),
        aligned("kept", out(kept), SLOPES),
        in(out_RF),
        out_RF.rows(),
        out_RF.columns());
  }

  @Override
  default void linearActivationBackward(
      Tensor dPre, Tensor dY, Tensor w, Tensor kept, Activation activation) {
    bf16("dPre", dPre);
    bf16("kept", kept);
    if (!keepsSlope(w.rows(), activation)) {
      KernelPart.super.linearActivationBackward(dPre, dY, w, kept, activation);
      return;
    }
    if (dPre.size() == 0) {
      return;
    }
    if (dY.columns() > 0
        && isBf16(dY)
        && gather(
            new Operation(Kind.NT_TIMES, dPre, kept, dY, w, dY.columns(), null, null, false))) {
      return;
    }
    matmul(dPre, dY, false, w, true, false);
    launch(
        "times_kept",
        Grid.line(Math.ceilDiv(dPre.size(), 8192), 256),
        aligned("dPre", out(dPre), VECTOR),
        aligned("kept", in(kept), SLOPES),
        dPre.size());
  }

  @Override
  default void weightGradient(
      Tensor dW, Tensor dB_1C, Tensor x, Tensor dOut_RC, boolean accumulate) {
    f32("dB_1C", dB_1C);
    Kind kind = kind(dW, x, true, dOut_RC, false, accumulate ? dW : null);
    if (kind != null
        && dW.size() > 0
        && gather(Operation.weightGradient(kind, dW, dB_1C, x, dOut_RC, accumulate))) {
      return;
    }
    matmul(dW, x, true, dOut_RC, false, accumulate);
    if (dB_1C != null) {
      RowSums.sum(device(), dB_1C, dOut_RC, accumulate);
    }
  }

  @Override
  default void weightGradients(List<WeightGradient> gradients) {
    if (!launchTogether(gradients)) {
      KernelPart.super.weightGradients(gradients);
    }
  }

  /** Does weight gradients in one launch, if that fills the GPU. */
  private boolean launchTogether(List<WeightGradient> gradients) {
    Gpu gpu = device().gpu();
    if (!gpu.lanes().launchesTogether()) {
      return false;
    }
    List<GroupedProducts.Product> products = new ArrayList<>();
    for (WeightGradient its : gradients) {
      Tensor dW = its.dW();
      Kind kind = kind(dW, its.x(), true, its.dOut_RC(), false, its.accumulate() ? dW : null);
      if (kind == null || dW.size() == 0) {
        return false;
      }
      f32("dB_1C", its.dB_1C());
      GroupedProducts.Product product =
          grouped(
              Operation.weightGradient(
                  kind, dW, its.dB_1C(), its.x(), its.dOut_RC(), its.accumulate()));
      if (!product.fits()) {
        return false;
      }
      products.add(product);
    }
    if (!GroupedProducts.fill(products, gpu.multiprocessors())) {
      return false;
    }
    gpu.enter();
    gpu.lanes().launchTogether(products);
    return true;
  }
}
