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
}
