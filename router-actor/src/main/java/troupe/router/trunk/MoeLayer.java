package troupe.router.trunk;

import troupe.core.config.RunConfig;
import troupe.core.nn.Linear;
import troupe.core.nn.Parameters;
import troupe.core.tensor.Device;
import troupe.core.tensor.Kernels;
import troupe.core.tensor.Tensor;
import troupe.router.gate.BalanceLoss;
import troupe.router.gate.Capacity;
import troupe.router.gate.DispatchPlan;
import troupe.router.gate.Draws;
import troupe.router.gate.Gate;
import troupe.router.gate.Gates;
import troupe.router.gate.Jitter;
import troupe.router.gate.Routing;
import troupe.router.gate.ZLoss;

/**
 * The gate's side of a mixture-of-experts layer, with h the normed input and f the rows that
 * experts return:
 *
 * <pre>
 *   route            logits = h Wr + br; experts and multipliers by the gate; rows of h sorted by expert
 *   combine          x[t] = mid[t] + multiplier * omega * f[t]                      (a dropped token passes by)
 *   combineBackward  df = multiplier * omega * g;  s = sum_d g omega f              (g: gradient of x)
 *   routeBackward    dLogits by estimator, balance loss and z-loss; dh = dLogits Wr^T + rows that experts return
 * </pre>
 */
public final class MoeLayer {
  private final Device device;
  private final Kernels kernels;
  private final RunConfig config;
  private final Gate gate;
  private final Jitter inputJitter;
  private final Capacity capacity;
  private final Tensor w_DE;
  private final Tensor b_1E;
  private final Tensor omega_1D;
  private final Tensor dW_DE;
  private final Tensor dB_1E;
  private final Tensor dOmega_1D;

  /** The gate of {@code layer} over these parameters. */
  public MoeLayer(
      Device device, RunConfig config, int layer, Parameters parameters, Parameters gradients) {
    this.device = device;
    this.kernels = device.kernels();
    this.config = config;
    this.gate = Gates.of(config.gate());
    this.inputJitter = Gates.inputJitter(config.gate());
    this.capacity =
        new Capacity(
            config.experts().capacityFactor(),
            config.experts().minCapacity(),
            config.experts().drop());
    String prefix = TrunkParameters.prefix(layer);
    this.w_DE = parameters.get(prefix + "router.w");
    this.b_1E = parameters.get(prefix + "router.b");
    this.dW_DE = gradients.get(prefix + "router.w");
    this.dB_1E = gradients.get(prefix + "router.b");
    boolean omega = config.gate().omega();
    this.omega_1D = omega ? parameters.get(prefix + "omega") : null;
    this.dOmega_1D = omega ? gradients.get(prefix + "omega") : null;
  }

  /** Chooses experts for every token and sorts their rows. */
  public MoeActivations route(MicroBatch micro, int layer, Draws draws, boolean training) {
    LayerActivations saved = micro.layer(layer);
    int tokens = micro.tokens();
    Tensor jitter_TD = null;
    Tensor input_TD = saved.norm2_TD;
    if (training && inputJitter.epsilon() > 0) {
      jitter_TD = device.allocate(tokens, input_TD.columns());
      jitter_TD.set(inputJitter.inputFactors(tokens, input_TD.columns(), draws));
      input_TD = device.allocate(tokens, input_TD.columns());
      kernels.multiply(input_TD, saved.norm2_TD, jitter_TD);
    }
    Routing routing = gate.route(logits(input_TD), tokens, w_DE.columns(), draws, training);
    DispatchPlan plan = DispatchPlan.of(routing, training ? capacity : Capacity.DROPLESS, draws);
    Tensor sent_RD = device.allocate(plan.rows(), input_TD.columns());
    kernels.gatherRows(sent_RD, saved.norm2_TD, plan.tokenOfRow_R());
    saved.moe =
        new MoeActivations(routing, plan, jitter_TD == null ? null : input_TD, jitter_TD, sent_RD);
    return saved.moe;
  }

  private double[] logits(Tensor input_TD) {
    try (Tensor logits_TE = device.allocate(input_TD.rows(), w_DE.columns())) {
      Linear.forward(kernels, logits_TE, input_TD, w_DE, b_1E);
      return logits_TE.toDoubles();
    }
  }

  /** Adds what the experts returned to the residual stream. */
  public void combine(MicroBatch micro, int layer) {
    LayerActivations saved = micro.layer(layer);
    MoeActivations moe = saved.moe;
    micro.x_TD = micro.keep(device.allocate(micro.tokens(), saved.mid_TD.columns()));
    kernels.copy(micro.x_TD, saved.mid_TD);
    for (int expert = 0; expert < moe.routing.experts(); expert++) {
      kernels.combineForward(
          micro.x_TD,
          moe.output(expert),
          moe.tokensOf(expert),
          moe.multipliersOf(expert),
          omega_1D);
    }
  }

  /** Forms the gradient rows for the experts, and {@code s} for the gate. */
  public MoeActivations combineBackward(MicroBatch micro, int layer) {
    MoeActivations moe = micro.layer(layer).moe;
    int rows = moe.plan.rows();
    moe.sentGradient_RD = device.allocate(rows, micro.dX_TD.columns());
    try (Tensor s_R1 = device.allocate(rows, 1)) {
      for (int expert = 0; expert < moe.routing.experts(); expert++) {
        kernels.combineBackward(
            moe.gradientRowsFor(expert),
            s_R1.rows(moe.plan.offset_E1()[expert], moe.plan.rows(expert)),
            dOmega_1D,
            micro.dX_TD,
            moe.output(expert),
            moe.tokensOf(expert),
            moe.multipliersOf(expert),
            omega_1D);
      }
      moe.s_TK = moe.plan.toSlots(s_R1.toDoubles());
    }
    return moe;
  }

  /**
   * The gradient of {@link #route}, once experts have returned theirs.
   *
   * @param load_E share of the tokens of the whole step that each expert was chosen for
   * @param tokens tokens of the whole step, over all ranks
   * @return the gradient of h; the caller owns it
   */
  public Tensor routeBackward(MicroBatch micro, int layer, double[] load_E, long tokens) {
    LayerActivations saved = micro.layer(layer);
    MoeActivations moe = saved.moe;
    double[] dLogits = new double[moe.routing.p_TE().length];
    gate.backward(dLogits, moe.routing, moe.s_TK);
    BalanceLoss.addGradient(
        dLogits, moe.routing, load_E, config.gate().balanceCoefficient(), tokens);
    if (config.gate().zCoefficient() > 0) {
      ZLoss.addGradient(dLogits, moe.routing, config.gate().zCoefficient(), tokens);
    }
    Tensor dH_TD = device.allocate(micro.tokens(), saved.norm2_TD.columns());
    try (Tensor dLogits_TE = device.allocate(micro.tokens(), moe.routing.experts())) {
      dLogits_TE.set(dLogits);
      boolean jittered = moe.jittered_TD != null;
      Linear.backwardWeights(
          kernels, dW_DE, dB_1E, dLogits_TE, jittered ? moe.jittered_TD : saved.norm2_TD);
      Linear.backwardInput(kernels, dH_TD, dLogits_TE, w_DE, false);
      if (jittered) {
        kernels.multiply(dH_TD, dH_TD, moe.inputJitter_TD);
      }
    }
    for (int expert = 0; expert < moe.routing.experts(); expert++) {
      kernels.scatterAddRows(dH_TD, moe.inputGradient(expert), moe.tokensOf(expert));
    }
    return dH_TD;
  }
}
