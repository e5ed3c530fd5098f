package troupe.core.tensor.cuda;

import static troupe.core.tensor.cuda.Operands.f32;
import static troupe.core.tensor.cuda.Operands.in;
import static troupe.core.tensor.cuda.Operands.isBf16;
import static troupe.core.tensor.cuda.Operands.out;
import static troupe.core.tensor.cuda.Operands.type;
import static troupe.core.tensor.cuda.Operands.typed;

import java.lang.foreign.Arena;
import troupe.core.tensor.AdamWStep;
import troupe.core.tensor.Tensor;

/** Kernels of {@code dense.cu} over elements, whatever rows they are in. */
interface ElementKernels extends KernelPart {
  /** Queues a kernel over elements of a type. */
  private void overElements(String kernel, Tensor x, Object... arguments) {
    if (x.size() > 0) {
      long each = isBf16(x) ? 8192 : 4096;
      launch(typed(kernel, x), Grid.line(Math.ceilDiv(x.size(), each), 256), arguments);
    }
  }

  @Override
  default void fill(Tensor x, double value) {
    if (value == 0 && x.size() > 0) {
      device().zero(out(x), x.size() * x.dtype().bytes());
    } else {
      overElements("fill", x, out(x), x.size(), (float) value);
    }
  }

  @Override
  default void copy(Tensor out, Tensor in) {
    if (out.size() == 0) {
      return;
    }
    if (out.dtype() == in.dtype()) {
      device().copy(out(out), in(in), in.size() * in.dtype().bytes());
    } else {
      launch(
          isBf16(out) ? "cast_f32_bf16" : "cast_bf16_f32",
          Grid.line(Math.ceilDiv(out.size(), 4096), 256),
          out(out),
          in(in),
          out.size());
    }
  }

  @Override
  default void add(Tensor out, Tensor in) {
    type("in", in, out.dtype());
    overElements("add", out, out(out), in(in), out.size());
  }

  @Override
  default void multiply(Tensor out, Tensor a, Tensor b) {
    type("a", a, out.dtype());
    type("b", b, out.dtype());
    overElements("multiply", out, out(out), in(a), in(b), out.size());
  }

  @Override
  default void scale(Tensor x, double factor) {
    overElements("scale", x, out(x), x.size(), (float) factor);
  }

  @Override
  default void sumSquares(Tensor out_11, Tensor x) {
    f32("out_11", out_11);
    if (x.size() == 0) {
      fill(out_11, 0);
      return;
    }
    SquaredPieces pieces = CudaTensor.of(x).squaredPieces();
    if (pieces.areFew()) {
      try (Arena arena = Arena.ofConfined()) {
        launch(
            "sum_squared_pieces",
            Grid.line(1, 1024),
            out(out_11),
            pieces.written(arena),
            pieces.count());
      }
      return;
    }
    int parts = (int) Math.min(Math.ceilDiv(x.size(), 16_384), 1056);
    // Doubles in a tensor of floats: twice as many.
    try (Tensor partial = device().allocate(parts, 2)) {
      launch(typed("sum_squares", x), Grid.line(parts, 256), out(partial), in(x), x.size(), parts);
      launch("sum_squares_end", Grid.line(1, 256), out(out_11), in(partial), parts);
    }
  }

  @Override
  default void adamw(
      Tensor param, Tensor m, Tensor v, Tensor grad, AdamWStep step, double weightDecay) {
    f32("param", param);
    f32("grad", grad);
    if (param.size() == 0) {
      return;
    }
    CudaTensor parameters = CudaTensor.of(param);
    // Written together with the parameters, so that it stays as current as it was.
    long shadow = parameters.block().shadow() == 0 ? 0 : parameters.shadowAddress();
    launch(
        "adamw",
        Grid.line(Math.ceilDiv(param.size(), 1024), 256),
        parameters.addressToWriteWithShadow(),
        out(m),
        out(v),
        in(grad),
        shadow,
        param.size(),
        (float) step.gradientScale(),
        (float) step.beta1(),
        (float) step.beta2(),
        (float) (1 - step.learningRate() * weightDecay),
        (float) (step.learningRate() / (1 - Math.pow(step.beta1(), step.step()))),
        (float) (1 / Math.sqrt(1 - Math.pow(step.beta2(), step.step()))),
        (float) step.epsilon());
  }
}
