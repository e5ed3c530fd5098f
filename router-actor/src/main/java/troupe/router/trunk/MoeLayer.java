package troupe.router.trunk;

import troupe.core.config.RunConfig;
import troupe.core.nn.Parameters;
import troupe.core.tensor.Device;
import troupe.core.tensor.Kernels;
import troupe.core.tensor.Tensor;
import troupe.router.gate.Draws;
import troupe.router.gate.Feedback;
import troupe.router.gate.Gate;
import troupe.router.gate.Gates;
import troupe.router.trace.RouterTrace;

/**
 * The gate's side of a mixture-of-experts layer, with h the normed input and f the rows that
 * experts return:
 *
 * <pre>
 *   route            logits = head(h), most often h Wr + br; experts and multipliers by the gate; rows of h sorted by expert
 *   dispatch         how many rows each expert gets
 *   combine          x[t] = mid[t] + multiplier * omega * f[t]                      (a dropped token passes by)
 *   combineBackward  df = multiplier * omega * g;  s = sum_d g omega f              (g: gradient of x)
 *   routeBackward    dLogits by estimator, balance loss and z-loss; dh = back through the head + rows that experts return
 * </pre>
 */
public final class MoeLayer {
  private final Device device;
  private final Kernels kernels;
  private final TokenRouter router;
  private final RouterTrace trace;
  private final RouterHead head;
  private final int experts;
  private final Tensor state;
  private final Tensor dState;
  private final boolean needsLosses;
  private final Tensor omega_1D;
  private final Tensor dOmega_1D;

  /** The gate of {@code layer} over these parameters. */
  public MoeLayer(
      Device device, RunConfig config, int layer, Parameters parameters, Parameters gradients) {
    this.device = device;
    this.kernels = device.kernels();
    this.router =
        DeviceRouter.serves(device, config)
            ? new DeviceRouter(device, config)
            : new HostRouter(device, config);
    this.trace = RouterTrace.of(config, layer);
    String prefix = TrunkParameters.prefix(layer);
    this.head = RouterHead.of(device, config, prefix, parameters, gradients);
    this.experts = config.experts().count();
    Gate gate = Gates.of(config.gate());
    this.needsLosses = gate.needsLosses();
    boolean keeps = gate.state() != null;
    String kept = gate.hashes() ? TrunkParameters.HASH_TABLE : prefix + "router.state";
    this.state = keeps || gate.hashes() ? parameters.get(kept) : null;
    this.dState = keeps ? gradients.get(prefix + "router.state") : null;
    boolean omega = config.gate().omega();
    this.omega_1D = omega ? parameters.get(prefix + "omega") : null;
    this.dOmega_1D = omega ? gradients.get(prefix + "omega") : null;
  }

  /** Whether the host has to wait for the device before it knows how many rows an expert gets. */
  public boolean routesOnDevice() {
    return router.isOnDevice();
  }

  /** Chooses experts for every token, and sorts rows by expert. */
  public MoeActivations route(MicroBatch micro, int layer, Draws draws, boolean training) {
    LayerActivations saved = micro.layer(layer);
    TokenRouter.Jittered jittered = training ? router.jitter(saved.norm2_TD, draws) : null;
    Tensor input_TD = jittered == null ? saved.norm2_TD : jittered.input_TD();
    Tensor logits_TE = device.allocate(micro.tokens(), experts);
    head.forward(logits_TE, input_TD);
    if (training && trace != null) {
      trace.write(logits_TE, micro.batch().tokens_T(), state, draws);
    }
    MoeActivations moe =
        new MoeActivations(
            router.route(logits_TE, micro.batch().tokens_T(), state, draws, training),
            jittered,
            experts);
    saved.moe = moe;
    // Before the host knows how many rows there are: a device is not to wait for it.
    moe.sent_RD = device.allocateActivations(moe.routed.mostRows(), saved.norm2_TD.columns());
    moe.routed.dispatch(moe.sent_RD, saved.norm2_TD);
    return moe;
  }

  /** Waits for the device to say how many rows each expert gets. */
  public void dispatch(MicroBatch micro, int layer) {
    micro.layer(layer).moe.dispatched();
  }

  /** Adds what the experts returned to the residual stream. */
  public void combine(MicroBatch micro, int layer) {
    LayerActivations saved = micro.layer(layer);
    micro.x_TD = micro.keep(device.allocateActivations(micro.tokens(), saved.mid_TD.columns()));
    saved.moe.routed.combine(micro.x_TD, saved.mid_TD, saved.moe.outputs_E(), omega_1D);
  }

  /** Forms the gradient rows for the experts, and {@code s} for the gate. */
  public MoeActivations combineBackward(MicroBatch micro, int layer) {
    MoeActivations moe = micro.layer(layer).moe;
    moe.sentGradient_RD = device.allocateActivations(moe.sent_RD.rows(), micro.dX_TD.columns());
    moe.routed.combineBackward(
        moe.sentGradient_RD, dOmega_1D, micro.dX_TD, moe.outputs_E(), omega_1D);
    return moe;
  }

  /**
   * The gradient of {@link #route}, once experts have returned theirs.
   *
   * @param load_E share of the tokens of the step that each expert was chosen for, over all ranks
   * @param tokens of the step, over all ranks
   * @return the gradient of the layer's normed input; the caller owns it
   */
  public Tensor routeBackward(MicroBatch micro, int layer, double[] load_E, long tokens) {
    LayerActivations saved = micro.layer(layer);
    MoeActivations moe = saved.moe;
    Tensor dH_TD = device.allocateActivations(micro.tokens(), saved.norm2_TD.columns());
    try (Tensor dLogits_TE = device.allocate(micro.tokens(), moe.experts())) {
      Feedback.Losses losses =
          needsLosses ? Feedback.Losses.of(micro.loss_T(), micro.batch().seq(), tokens) : null;
      moe.routed.logitsGradient(dLogits_TE, dState, losses, load_E, tokens);
      boolean jittered = moe.jittered != null;
      Tensor input_TD = jittered ? moe.jittered.input_TD() : saved.norm2_TD;
      head.backward(dH_TD, dLogits_TE, input_TD);
      if (jittered) {
        kernels.multiply(dH_TD, dH_TD, moe.jittered.factor_TD());
      }
    }
    moe.routed.dispatchBackward(dH_TD, moe.inputGradients_E());
    return dH_TD;
  }
}
