package troupe.router.trunk;

import troupe.core.nn.FeedForward;
import troupe.core.tensor.Tensor;

/** What one layer keeps of a micro-batch between forward and backward. */
public final class LayerActivations {
  Tensor in_TD;
  Tensor mean1_T1;
  Tensor rstd1_T1;
  Tensor norm1_TD;
  Tensor qkv_T3D;
  Tensor attention_TD;
  Tensor attentionSaved;
  Tensor mid_TD;
  Tensor mean2_T1;
  Tensor rstd2_T1;
  Tensor norm2_TD;

  /** The mixture of experts of this layer, or null. */
  MoeActivations moe;

  /** The dense feed-forward network of this layer, or null. */
  FeedForward.Saved dense;

  /** The mixture of experts of this layer. */
  public MoeActivations moe() {
    return moe;
  }
}
