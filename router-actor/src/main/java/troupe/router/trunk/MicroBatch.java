package troupe.router.trunk;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import troupe.core.data.Batch;
import troupe.core.tensor.Readback;
import troupe.core.tensor.Tensor;

/**
 * The activations of one micro-batch: what forward computed so far, and what backward will need of
 * it.
 */
public final class MicroBatch implements AutoCloseable {
  private final int index;
  private final Batch batch;
  private final LayerActivations[] layers;
  private final List<Tensor> owned = new ArrayList<>();

  /** The residual stream at the layer that is next. */
  Tensor x_TD;

  /** Gradient of the residual stream, on the way back. */
  Tensor dX_TD;

  /** Cross entropy of each token in nats, on its way to the host once it is predicted. */
  private Readback losses;

  private double lossSum;
  private boolean isSummed;

  Tensor finalMean_T1;
  Tensor finalRstd_T1;
  Tensor finalNorm_TD;

  /** A micro-batch before its first layer. */
  public MicroBatch(int index, Batch batch, int numLayers) {
    this.index = index;
    this.batch = batch;
    this.layers = new LayerActivations[numLayers];
  }

  /** Its index in the step. */
  public int index() {
    return index;
  }

  /** Its tokens. */
  public Batch batch() {
    return batch;
  }

  /** Number of tokens. */
  public int tokens() {
    return batch.tokens_T().length;
  }

  /** What a layer kept. */
  public LayerActivations layer(int layer) {
    return layers[layer];
  }

  /** How many layers have begun. */
  int layersBegun() {
    int begun = 0;
    while (begun < layers.length && layers[begun] != null) {
      begun++;
    }
    return begun;
  }

  LayerActivations begin(int layer) {
    layers[layer] = new LayerActivations();
    return layers[layer];
  }

  /** Takes the cross entropy of each token in nats; summed as soon as it is here. */
  void predicted(Readback found) {
    losses = found;
    found.whenDone(this::lossSum);
  }

  /** Cross entropy of each token in nats; waits for the device. */
  double[] loss_T() {
    return losses.values();
  }

  /** Whether {@link #lossSum} would return at once. */
  public boolean hasLosses() {
    return losses.isDone();
  }

  /** Cross entropy in nats, summed over tokens; waits for the device. */
  public synchronized double lossSum() {
    if (!isSummed) {
      for (double loss : losses.values()) {
        lossSum += loss;
      }
      isSummed = true;
    }
    return lossSum;
  }

  /** Keeps a tensor until the micro-batch is closed. */
  Tensor keep(Tensor tensor) {
    owned.add(tensor);
    return tensor;
  }

  @Override
  public void close() {
    owned.forEach(Tensor::close);
    owned.clear();
    for (LayerActivations layer : layers) {
      if (layer != null && layer.moe != null) {
        layer.moe.close();
      }
      if (layer != null && layer.dense != null) {
        layer.dense.close();
      }
    }
    Arrays.fill(layers, null);
  }
}
