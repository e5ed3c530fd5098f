package troupe.coordinator.simulate;

import troupe.core.config.RunConfig;
import troupe.router.trunk.TrunkParameters;

/**
 * Bytes of the fullest device.
 *
 * @param experts parameters, gradients and both moments of its experts, all layers
 * @param trunk the same of its ranks' trunks
 * @param rows what experts keep of their rows until backward, all layers, in the fullest step
 * @param reserved the same if every expert got all the rows that capacity allows; the rows where
 *     there is no limit
 * @param tokens what its ranks keep of their tokens until backward
 */
record DeviceMemory(long experts, long trunk, long rows, long reserved, long tokens) {
  /** Parameter, gradient and both moments, in float32. */
  private static final long OF_OWNER = 4 * Float.BYTES;

  /** The memory of a device, of which {@code rows} are rows of one layer on the fullest one. */
  static DeviceMemory of(RunConfig config, ClusterMap map, long rows, long reservedRows) {
    RunConfig.Model model = config.model();
    long layers = model.moeLayers().size();
    long element = config.simulate().cluster().elementBytes();
    long d = model.dModel();
    long expert =
        layers == 0
            ? 0
            : TrunkParameters.expertLayout(config, model.moeLayers().getFirst(), 0).size();
    long trunkSize = TrunkParameters.layout(config).size();
    // Input, output and their gradients; pre-activations and activations.
    long row = (4 * d + model.activation().preWidth(model.dFf()) + model.dFf()) * element;
    // Residual stream before and after attention, two norms, attention, its inputs.
    long trunk = (5 * d + 3 * d) * element * model.layers();
    // Logits and probabilities in double precision.
    long router = 2L * Double.BYTES * config.experts().count() * layers;
    long tokens = Math.ceilDiv(map.tokens() * map.mostRanks(), map.ranks());
    return new DeviceMemory(
        OF_OWNER * expert * map.mostExperts() * layers,
        // As placement counts it: parameters and gradients whole, sum and moments in slices.
        (2 * trunkSize + 3 * (trunkSize / map.ranks())) * Float.BYTES * map.mostRanks(),
        rows * row * layers,
        reservedRows * row * layers,
        tokens * (trunk + router));
  }

  /** All of it. */
  long total() {
    return experts + trunk + rows + tokens;
  }
}
