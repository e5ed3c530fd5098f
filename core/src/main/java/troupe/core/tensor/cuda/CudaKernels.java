package troupe.core.tensor.cuda;

import static troupe.core.tensor.cuda.Operands.bf16;
import static troupe.core.tensor.cuda.Operands.in;
import static troupe.core.tensor.cuda.Operands.out;

import troupe.core.tensor.Tensor;

/**
 * All kernels of a GPU: attention, and the parts that its interfaces are, with their methods as
 * they are. Launch sizes are those that the kernels' comments name; how sums are cut into parts
 * depends on shapes alone.
 */
final class CudaKernels
    implements ElementKernels, ProductKernels, RowKernels, IndexedRowKernels, DirectionKernels {
  private final CudaDevice device;
  private final CudaAttention attention;

  CudaKernels(CudaDevice device) {
    this.device = device;
    this.attention = new CudaAttention(device);
  }

  @Override
  public CudaDevice device() {
    return device;
  }

  @Override
  public Tensor allocateAttentionSaved(int batch, int seq, int heads) {
    return device.allocate(batch * heads, Math.max(1, seq));
  }

  @Override
  public void attentionForward(Tensor out_TD, Tensor saved, Tensor qkv_T3D, int batch, int heads) {
    bf16("out_TD", out_TD);
    bf16("qkv_T3D", qkv_T3D);
    if (out_TD.rows() > 0) {
      attention.forward(
          out(out_TD),
          out(saved),
          in(qkv_T3D),
          new CudaAttention.Shape(batch, out_TD.rows() / batch, heads, out_TD.columns() / heads));
    }
  }

  @Override
  public void attentionBackward(
      Tensor dQkv_T3D,
      Tensor dOut_TD,
      Tensor qkv_T3D,
      Tensor out_TD,
      Tensor saved,
      int batch,
      int heads) {
    bf16("dQkv_T3D", dQkv_T3D);
    bf16("dOut_TD", dOut_TD);
    if (out_TD.rows() > 0) {
      attention.backward(
          out(dQkv_T3D),
          in(dOut_TD),
          in(qkv_T3D),
          in(out_TD),
          in(saved),
          new CudaAttention.Shape(batch, out_TD.rows() / batch, heads, out_TD.columns() / heads));
    }
  }
}
