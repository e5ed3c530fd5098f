package troupe.core.tensor.cuda;

import static troupe.core.tensor.cuda.Operands.f32;
import static troupe.core.tensor.cuda.Operands.in;
import static troupe.core.tensor.cuda.Operands.out;

import troupe.core.tensor.Tensor;

/** Kernels of {@code gates.cu} that compare projections with the directions of embeddings. */
interface DirectionKernels extends KernelPart {
  @Override
  default void directionsForward(Tensor out_DE, Tensor p_DW, Tensor e_EW, double leastNorm) {
    f32("out_DE", out_DE);
    f32("p_DW", p_DW);
    f32("e_EW", e_EW);
    if (out_DE.size() > 0) {
      launch(
          "directions_forward",
          Grid.line(Math.ceilDiv(out_DE.size(), 256), 256),
          out(out_DE),
          in(p_DW),
          in(e_EW),
          p_DW.rows(),
          e_EW.rows(),
          e_EW.columns(),
          leastNorm);
    }
  }

  @Override
  default void directionsBackward(
      Tensor dP_DW, Tensor dE_EW, Tensor dOut_DE, Tensor p_DW, Tensor e_EW, double leastNorm) {
    f32("dP_DW", dP_DW);
    f32("dE_EW", dE_EW);
    f32("dOut_DE", dOut_DE);
    f32("p_DW", p_DW);
    f32("e_EW", e_EW);
    if (dOut_DE.size() == 0) {
      return;
    }
    int experts = e_EW.rows();
    int width = e_EW.columns();
    launch(
        "directions_backward_projection",
        Grid.line(Math.ceilDiv(dP_DW.size(), 256), 256, Double.BYTES * experts),
        out(dP_DW),
        in(dOut_DE),
        in(e_EW),
        p_DW.rows(),
        experts,
        width,
        leastNorm);
    launch(
        "directions_backward_embeddings",
        Grid.line(experts, 32 * Math.min(width, 16), Double.BYTES * width),
        out(dE_EW),
        in(dOut_DE),
        in(p_DW),
        in(e_EW),
        p_DW.rows(),
        experts,
        width,
        leastNorm);
  }
}
