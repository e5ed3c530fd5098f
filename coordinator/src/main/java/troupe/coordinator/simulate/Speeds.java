package troupe.coordinator.simulate;

import troupe.core.config.RunConfig;
import troupe.core.config.SimulateConfig.SimulatedCluster;

/**
 * Seconds of the pieces of a step on one lane of a device.
 *
 * @param expertForwardRow an expert's forward, for a row
 * @param expertForwardBatch and for a batch, whatever its rows
 * @param expertBackwardRow its backward, for a row
 * @param expertBackwardBatch and for a batch
 * @param trunkForward embeddings, all layers' attention and norms, and the head, for a token
 * @param trunkBackward their backward
 * @param routerForward logits and gate of a layer, for a token
 * @param routerBackward their backward
 * @param dispatchRow sorting a row by expert
 * @param combineRow adding a row that comes back
 * @param returnRow both of that on the way back
 * @param optimizerParameter AdamW, for a parameter
 * @param control coordination of a step: messages, decisions, what no piece accounts for
 */
record Speeds(
    double expertForwardRow,
    double expertForwardBatch,
    double expertBackwardRow,
    double expertBackwardBatch,
    double trunkForward,
    double trunkBackward,
    double routerForward,
    double routerBackward,
    double dispatchRow,
    double combineRow,
    double returnRow,
    double optimizerParameter,
    double control) {
  /** A backward pass has two products for each of the forward pass: by inputs and by weights. */
  private static final double BACKWARD = 2;

  /** AdamW reads parameter, gradient and both moments and writes all but the gradient. */
  private static final double OPTIMIZER_BYTES = 7 * Float.BYTES;

  /** By operations and bytes, at the rates that a config names. */
  static Speeds of(RunConfig config) {
    SimulatedCluster cluster = config.simulate().cluster();
    RunConfig.Model model = config.model();
    double d = model.dModel();
    double experts = config.experts().count();
    double expert =
        2
            * (d * model.activation().preWidth(model.dFf()) + model.dFf() * d)
            / cluster.expertFlops();
    double trunk = trunkFlops(model) / cluster.trunkFlops();
    double logits = 2 * d * experts / cluster.trunkFlops();
    double gate = experts * cluster.gateSeconds();
    double copy = 2 * d * cluster.elementBytes() / cluster.memoryBandwidth();
    return new Speeds(
        expert,
        cluster.batchSeconds(),
        BACKWARD * expert,
        cluster.batchSeconds(),
        trunk,
        BACKWARD * trunk,
        logits + gate,
        BACKWARD * logits + gate,
        copy,
        copy,
        2 * copy,
        OPTIMIZER_BYTES / cluster.memoryBandwidth(),
        cluster.controlSeconds());
  }

  /** Operations a token: projections and attention of every layer, dense layers, the head. */
  private static double trunkFlops(RunConfig.Model model) {
    double d = model.dModel();
    int dense = model.layers() - model.moeLayers().size();
    double projections = 2 * 4 * d * d;
    // Scores and their product with the values, of which a mask leaves half.
    double attention = 2 * 2 * model.seq() * d / 2;
    double network = 2 * (d * model.activation().preWidth(model.dFf()) + model.dFf() * d);
    return model.layers() * (projections + attention) + dense * network + 2 * d * model.vocab();
  }
}
