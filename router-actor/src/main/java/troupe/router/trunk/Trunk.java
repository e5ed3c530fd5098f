package troupe.router.trunk;

import java.util.HashSet;
import java.util.List;
import java.util.Set;
import troupe.core.config.RunConfig;
import troupe.core.data.Batch;
import troupe.core.nn.FeedForward;
import troupe.core.nn.Parameters;
import troupe.core.tensor.Device;
import troupe.core.tensor.Kernels;
import troupe.core.tensor.Tensor;
import troupe.core.tensor.WeightGradient;

/**
 * The decoder-only, pre-norm transformer around the experts, in the pieces in which a rank runs it:
 *
 * <pre>
 *   embed        x = tok[token] + pos
 *   attend       x = x + proj(attention(qkv(ln1 x)));  h = ln2 x          (the experts or the dense network work on h)
 *   predict      loss = mean over tokens of cross entropy of head(lnf x)
 * </pre>
 *
 * and their backward passes in reverse. Gradients of parameters accumulate over the micro-batches
 * of a step; those of activations overwrite, except that of the residual stream.
 */
public final class Trunk {
  private final Device device;
  private final Kernels kernels;
  private final RunConfig.Model model;
  private final Parameters parameters;
  private final Parameters gradients;

  /** Gradients of large matrices: the first micro-batch of a step overwrites what was there. */
  private final Set<String> overwrittenNames = new HashSet<>();

  /** A trunk over these parameters, summing gradients into {@code gradients} of the same layout. */
  public Trunk(Device device, RunConfig.Model model, Parameters parameters, Parameters gradients) {
    this.device = device;
    this.kernels = device.kernels();
    this.model = model;
    this.parameters = parameters;
    this.gradients = gradients;
    overwrittenNames.add("head");
    for (int layer = 0; layer < model.layers(); layer++) {
      String prefix = TrunkParameters.prefix(layer);
      overwrittenNames.addAll(List.of(prefix + "qkv.w", prefix + "proj.w"));
      if (!model.isMoe(layer)) {
        overwrittenNames.addAll(List.of(prefix + "w1", prefix + "w2"));
      }
    }
  }

  /** Begins a step: zeros the gradients that its first micro-batch does not overwrite. */
  public void zeroGradients() {
    gradients.zeroAllBut(overwrittenNames);
  }

  private static boolean accumulates(MicroBatch micro) {
    return micro.index() > 0;
  }

  /** Starts the residual stream. */
  public void embed(MicroBatch micro) {
    Batch batch = micro.batch();
    micro.x_TD = keep(micro, batch.tokens_T().length, model.dModel());
    kernels.embeddingForward(
        micro.x_TD, batch.tokens_T(), parameters.get("tok"), parameters.get("pos"), batch.seq());
  }

  /** The gradient of {@link #embed}. */
  public void embedBackward(MicroBatch micro) {
    Batch batch = micro.batch();
    kernels.embeddingBackward(
        gradients.get("tok"), gradients.get("pos"), micro.dX_TD, batch.tokens_T(), batch.seq());
  }

  /** Attention and the norm before the feed-forward network. */
  public void attend(MicroBatch micro, int layer) {
    String prefix = TrunkParameters.prefix(layer);
    int tokens = micro.tokens();
    int d = model.dModel();
    LayerActivations saved = micro.begin(layer);
    saved.in_TD = micro.x_TD;
    saved.mean1_T1 = keepStatistics(micro);
    saved.rstd1_T1 = keepStatistics(micro);
    saved.norm1_TD = keep(micro, tokens, d);
    layerNorm(saved.norm1_TD, saved.mean1_T1, saved.rstd1_T1, saved.in_TD, prefix + "ln1.");

    saved.qkv_T3D = keep(micro, tokens, 3 * d);
    linear(saved.qkv_T3D, saved.norm1_TD, prefix + "qkv.", null);
    saved.attention_TD = keep(micro, tokens, d);
    Batch batch = micro.batch();
    saved.attentionSaved =
        micro.keep(kernels.allocateAttentionSaved(batch.sequences(), batch.seq(), model.heads()));
    kernels.attentionForward(
        saved.attention_TD, saved.attentionSaved, saved.qkv_T3D, batch.sequences(), model.heads());

    saved.mid_TD = keep(micro, tokens, d);
    linear(saved.mid_TD, saved.attention_TD, prefix + "proj.", saved.in_TD);

    saved.mean2_T1 = keepStatistics(micro);
    saved.rstd2_T1 = keepStatistics(micro);
    saved.norm2_TD = keep(micro, tokens, d);
    layerNorm(saved.norm2_TD, saved.mean2_T1, saved.rstd2_T1, saved.mid_TD, prefix + "ln2.");
  }

  /**
   * The gradient of {@link #attend}.
   *
   * @param dNorm2_TD gradient of the feed-forward network's input
   */
  public void attendBackward(MicroBatch micro, int layer, Tensor dNorm2_TD) {
    String prefix = TrunkParameters.prefix(layer);
    LayerActivations saved = micro.layer(layer);
    Batch batch = micro.batch();
    Tensor dX_TD = micro.dX_TD;
    layerNormBackward(
        dX_TD, dNorm2_TD, saved.mid_TD, saved.mean2_T1, saved.rstd2_T1, prefix + "ln2.");

    int tokens = batch.tokens_T().length;
    int d = model.dModel();
    try (Tensor dAttention_TD = device.allocateActivations(tokens, d);
        Tensor dQkv_T3D = device.allocateActivations(tokens, 3 * d);
        Tensor dNorm1_TD = device.allocateActivations(tokens, d)) {
      inputGradient(dAttention_TD, dX_TD, prefix + "proj.");
      kernels.attentionBackward(
          dQkv_T3D,
          dAttention_TD,
          saved.qkv_T3D,
          saved.attention_TD,
          saved.attentionSaved,
          batch.sequences(),
          model.heads());
      inputGradient(dNorm1_TD, dQkv_T3D, prefix + "qkv.");
      kernels.weightGradients(
          List.of(
              weightGradient(micro, dQkv_T3D, saved.norm1_TD, prefix + "qkv."),
              weightGradient(micro, dX_TD, saved.attention_TD, prefix + "proj.")));
      // A bias on keys shifts all scores of a query alike, so its gradient is exactly zero. What
      // float32 leaves of it is noise, which AdamW would blow up to full-sized steps.
      kernels.fill(gradients.get(prefix + "qkv.b").slice(d, 1, d), 0);
      layerNormBackward(
          dX_TD, dNorm1_TD, saved.in_TD, saved.mean1_T1, saved.rstd1_T1, prefix + "ln1.");
    }
  }

  /** The feed-forward network of a layer without experts: {@code x = mid + ffn(h)}. */
  public void dense(MicroBatch micro, int layer) {
    LayerActivations saved = micro.layer(layer);
    micro.x_TD = keep(micro, micro.tokens(), model.dModel());
    saved.dense = denseNetwork(layer).forward(micro.x_TD, saved.norm2_TD);
    kernels.add(micro.x_TD, saved.mid_TD);
  }

  /** The gradient of {@link #dense} and {@link #attend}. */
  public void denseBackward(MicroBatch micro, int layer) {
    LayerActivations saved = micro.layer(layer);
    try (Tensor dNorm2_TD = device.allocateActivations(micro.tokens(), model.dModel())) {
      FeedForward network = denseNetwork(layer);
      network.backwardInput(dNorm2_TD, micro.dX_TD, saved.dense);
      network.backwardWeights(
          gradients,
          TrunkParameters.prefix(layer),
          micro.dX_TD,
          saved.norm2_TD,
          saved.dense,
          accumulates(micro));
      attendBackward(micro, layer, dNorm2_TD);
    }
  }

  private FeedForward denseNetwork(int layer) {
    return new FeedForward(device, parameters, TrunkParameters.prefix(layer), model.activation());
  }

  /**
   * Cross entropy of the next token; the host has it later, see {@link MicroBatch#lossSum}.
   *
   * @param gradientScale one over the number of tokens of the whole step, or 0 to leave backward
   *     out
   */
  public void predict(MicroBatch micro, double gradientScale) {
    int tokens = micro.tokens();
    finalNorm(micro);
    try (Tensor logits_TV = device.allocateActivations(tokens, model.vocab());
        Tensor losses_T1 = device.allocate(tokens, 1)) {
      kernels.matmul(logits_TV, micro.finalNorm_TD, false, parameters.get("head"), false, false);
      boolean backward = gradientScale != 0;
      kernels.crossEntropy(
          losses_T1,
          backward ? logits_TV : null,
          logits_TV,
          micro.batch().targets_T(),
          gradientScale);
      micro.predicted(device.read(losses_T1));
      if (backward) {
        predictBackward(micro, logits_TV);
      }
    }
  }

  private void predictBackward(MicroBatch micro, Tensor dLogits_TV) {
    int tokens = micro.tokens();
    kernels.matmul(
        gradients.get("head"), micro.finalNorm_TD, true, dLogits_TV, false, accumulates(micro));
    micro.dX_TD = keep(micro, tokens, model.dModel());
    kernels.fill(micro.dX_TD, 0);
    try (Tensor dNorm_TD = device.allocateActivations(tokens, model.dModel())) {
      kernels.matmul(dNorm_TD, dLogits_TV, false, parameters.get("head"), true, false);
      layerNormBackward(
          micro.dX_TD, dNorm_TD, micro.x_TD, micro.finalMean_T1, micro.finalRstd_T1, "lnf.");
    }
  }

  /** Logits of the token after the last one. */
  public double[] nextTokenLogits(MicroBatch micro) {
    finalNorm(micro);
    try (Tensor logits_1V = device.allocateActivations(1, model.vocab())) {
      Tensor last_1D = micro.finalNorm_TD.rows(micro.tokens() - 1, 1);
      kernels.matmul(logits_1V, last_1D, false, parameters.get("head"), false, false);
      return logits_1V.toDoubles();
    }
  }

  /** Logits of every token; what tests compare with golden numbers. */
  public double[] logits(MicroBatch micro) {
    finalNorm(micro);
    try (Tensor logits_TV = device.allocateActivations(micro.tokens(), model.vocab())) {
      kernels.matmul(logits_TV, micro.finalNorm_TD, false, parameters.get("head"), false, false);
      return logits_TV.toDoubles();
    }
  }

  private void finalNorm(MicroBatch micro) {
    int tokens = micro.tokens();
    micro.finalMean_T1 = keepStatistics(micro);
    micro.finalRstd_T1 = keepStatistics(micro);
    micro.finalNorm_TD = keep(micro, tokens, model.dModel());
    layerNorm(micro.finalNorm_TD, micro.finalMean_T1, micro.finalRstd_T1, micro.x_TD, "lnf.");
  }

  private void layerNorm(Tensor out, Tensor mean, Tensor rstd, Tensor x, String name) {
    kernels.layerNormForward(
        out,
        mean,
        rstd,
        x,
        parameters.get(name + "g"),
        parameters.get(name + "b"),
        model.layerNormEpsilon());
  }

  private void layerNormBackward(
      Tensor dX, Tensor dOut, Tensor x, Tensor mean, Tensor rstd, String name) {
    kernels.layerNormBackward(
        dX,
        gradients.get(name + "g"),
        gradients.get(name + "b"),
        dOut,
        x,
        mean,
        rstd,
        parameters.get(name + "g"));
  }

  private void linear(Tensor out, Tensor x, String name, Tensor residual) {
    kernels.linear(out, x, parameters.get(name + "w"), parameters.get(name + "b"), residual);
  }

  private void inputGradient(Tensor dX, Tensor dOut, String name) {
    kernels.matmul(dX, dOut, false, parameters.get(name + "w"), true, false);
  }

  private WeightGradient weightGradient(MicroBatch micro, Tensor dOut, Tensor x, String name) {
    return new WeightGradient(
        gradients.get(name + "w"), gradients.get(name + "b"), x, dOut, accumulates(micro));
  }

  private Tensor keep(MicroBatch micro, int rows, int columns) {
    return micro.keep(device.allocateActivations(rows, columns));
  }

  private Tensor keepStatistics(MicroBatch micro) {
    return micro.keep(device.allocate(micro.tokens(), 1));
  }
}
