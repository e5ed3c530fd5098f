package troupe.router.pass;

import troupe.core.tensor.Tensor;
import troupe.router.trunk.LayerStats;
import troupe.transport.Phase;

/** What a pass says to the world. */
public interface Outgoing {
  /** Rows for an expert; they stay the pass's until it is closed. */
  void send(Phase phase, int microBatch, int layer, int expert, Tensor rows);

  /** All micro-batches have passed the gate of a layer. */
  void routed(int layer, LayerStats stats);

  /**
   * The backward of a layer is over for all micro-batches: the trunk's gradients of this layer and
   * those behind it get nothing more from this pass. The number of layers stands for the head,
   * which is first; layer 0 is last and includes the embeddings.
   */
  void gradientsFinal(int layer);
}
