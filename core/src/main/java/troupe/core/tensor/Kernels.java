package troupe.core.tensor;

import java.util.List;

/**
 * Everything a device has to know how to compute. Output arguments come first. Unless a kernel says
 * that it accumulates ({@code +=}) it overwrites ({@code =}). Kernels may run asynchronously;
 * results are read through {@link Tensor#toDoubles}, {@link Tensor#item} and {@link Tensor#bytes},
 * which wait.
 *
 * <p>Every kernel accepts zero rows. Every kernel gives the same bits for the same arguments, on
 * whatever thread it runs and however many run beside it; sums over rows go in row order or in a
 * tree that depends on the shape alone.
 *
 * <p>Shapes are checked: an {@link IllegalArgumentException} names the argument, what was found and
 * what was expected.
 */
public interface Kernels {
  /** {@code x = value}. */
  void fill(Tensor x, double value);

  /** {@code out = in}. */
  void copy(Tensor out, Tensor in);

  /** {@code out += in}. */
  void add(Tensor out, Tensor in);

  /** {@code out = a * b}, element by element. {@code out} may be {@code a} or {@code b}. */
  void multiply(Tensor out, Tensor a, Tensor b);

  /** {@code x *= factor}. */
  void scale(Tensor x, double factor);

  /**
   * Matrix product {@code out = op(a) op(b)}, or {@code out += op(a) op(b)}.
   *
   * @param transposeA whether {@code op(a)} is the transpose of {@code a}
   * @param accumulate whether to add to {@code out}
   */
  void matmul(
      Tensor out, Tensor a, boolean transposeA, Tensor b, boolean transposeB, boolean accumulate);

  /** {@code x_RC += bias_1C} for every row. */
  void addBias(Tensor x_RC, Tensor bias_1C);

  /** {@code out_1C += sum over rows of x_RC}: the backward pass of {@link #addBias}. */
  void sumRows(Tensor out_1C, Tensor x_RC);

  /**
   * {@code out = act(pre)}. For {@link Activation#SWIGLU} {@code pre} is twice as wide as {@code
   * out}.
   */
  void activationForward(Tensor out_RF, Tensor pre, Activation activation);

  /**
   * {@code dPre = dOut * act'(pre)}. {@code dPre} may be {@code dOut} where their widths are equal.
   */
  void activationBackward(Tensor dPre, Tensor dOut_RF, Tensor pre, Activation activation);

  /**
   * {@code out = x w + bias + residual}: a linear layer.
   *
   * @param bias_1C {@code null} for none
   * @param residual_RC {@code null} for none
   */
  default void linear(Tensor out_RC, Tensor x, Tensor w, Tensor bias_1C, Tensor residual_RC) {
    matmul(out_RC, x, false, w, false, false);
    if (bias_1C != null) {
      addBias(out_RC, bias_1C);
    }
    if (residual_RC != null) {
      add(out_RC, residual_RC);
    }
  }

  /**
   * Columns of what {@link #linearActivation} keeps of {@code ff} results a row: activations whose
   * layout is the device's own.
   */
  default int keptWidth(int ff, Activation activation) {
    return activation.preWidth(ff);
  }

  /**
   * Whether {@link #linearActivationBackward} may write its result over what was kept. It is as
   * wide then.
   */
  default boolean overwritesKept(int ff, Activation activation) {
    return true;
  }

  /**
   * {@code out = act(x w + bias)}: a linear layer with its activation.
   *
   * @param kept of {@link #keptWidth}: gets what {@link #linearActivationBackward} needs and nobody
   *     else reads. A device decides what that is; here, what was before the activation
   */
  default void linearActivation(
      Tensor out_RF, Tensor kept, Tensor x, Tensor w, Tensor bias, Activation activation) {
    linear(kept, x, w, bias, null);
    activationForward(out_RF, kept, activation);
  }

  /**
   * {@code dPre = (dY w^T) * act'}: back through a linear layer to before the activation that fed
   * it. {@code dPre} may be {@code kept} if {@link #overwritesKept} says so.
   *
   * @param kept from {@link #linearActivation} of the same device and activation
   */
  default void linearActivationBackward(
      Tensor dPre, Tensor dY, Tensor w, Tensor kept, Activation activation) {
    try (Tensor dOut_RF = dY.device().allocateActivations(dY.rows(), w.rows())) {
      matmul(dOut_RF, dY, false, w, true, false);
      activationBackward(dPre, dOut_RF, kept, activation);
    }
  }

  /**
   * {@code dW = x^T dOut, dB = sum over rows of dOut}: the gradient of {@link #linear} by its
   * parameters.
   *
   * @param dB_1C {@code null} for a layer without bias
   * @param accumulate whether to add to what is there
   */
  default void weightGradient(
      Tensor dW, Tensor dB_1C, Tensor x, Tensor dOut_RC, boolean accumulate) {
    matmul(dW, x, true, dOut_RC, false, accumulate);
    if (dB_1C != null) {
      if (!accumulate) {
        fill(dB_1C, 0);
      }
      sumRows(dB_1C, dOut_RC);
    }
  }

  /**
   * Several of {@link #weightGradient}, each with outputs of its own. So a device may do them at
   * the same time: alone, few of them are large enough for all of a GPU.
   */
  default void weightGradients(List<WeightGradient> gradients) {
    for (WeightGradient its : gradients) {
      weightGradient(its.dW(), its.dB_1C(), its.x(), its.dOut_RC(), its.accumulate());
    }
  }

  /**
   * {@code out[t] = tok[tokens[t]] + pos[t mod S]}, S being the number of rows used of {@code pos}.
   */
  void embeddingForward(Tensor out_TD, int[] tokens_T, Tensor tok_VD, Tensor pos_SD, int seq);

  /** {@code dTok[tokens[t]] += dOut[t]; dPos[t mod S] += dOut[t]}, in token order. */
  void embeddingBackward(Tensor dTok_VD, Tensor dPos_SD, Tensor dOut_TD, int[] tokens_T, int seq);

  /**
   * {@code out = (x - mean) * rstd * gain + bias} with the biased variance of each row; keeps mean
   * and rstd.
   */
  void layerNormForward(
      Tensor out_TD,
      Tensor mean_T1,
      Tensor rstd_T1,
      Tensor x_TD,
      Tensor gain_1D,
      Tensor bias_1D,
      double epsilon);

  /**
   * {@code dX += ..., dGain += ..., dBias += ...}. {@code dX} accumulates because it is the
   * gradient of the residual stream.
   */
  void layerNormBackward(
      Tensor dX_TD,
      Tensor dGain_1D,
      Tensor dBias_1D,
      Tensor dOut_TD,
      Tensor x_TD,
      Tensor mean_T1,
      Tensor rstd_T1,
      Tensor gain_1D);

  /**
   * A tensor for what {@link #attentionForward} keeps for {@link #attentionBackward}; its layout is
   * the device's own.
   */
  Tensor allocateAttentionSaved(int batch, int seq, int heads);

  /**
   * Causal multi-head attention: per head {@code softmax(q k^T / sqrt(D/H), keys up to the query)
   * v}.
   *
   * @param out_TD heads side by side, T = batch * seq
   * @param saved from {@link #allocateAttentionSaved}
   * @param qkv_T3D {@code [q | k | v]} side by side, each with its heads side by side
   */
  void attentionForward(Tensor out_TD, Tensor saved, Tensor qkv_T3D, int batch, int heads);

  /** {@code dQkv = ...}, the gradient of {@link #attentionForward}. */
  void attentionBackward(
      Tensor dQkv_T3D,
      Tensor dOut_TD,
      Tensor qkv_T3D,
      Tensor out_TD,
      Tensor saved,
      int batch,
      int heads);

  /**
   * Cross entropy in nats of each row against its target, and its gradient: {@code losses[t] =
   * logsumexp(logits[t]) - logits[t][targets[t]]}, {@code dLogits = scale * (softmax(logits) -
   * onehot)}.
   *
   * @param dLogits_TV may be {@code logits_TV}; {@code null} to compute the losses alone
   */
  void crossEntropy(
      Tensor losses_T1, Tensor dLogits_TV, Tensor logits_TV, int[] targets_T, double scale);

  /**
   * {@code out[r] = in[tokenOfRow[r]]}: dispatch. {@code out} has {@code tokenOfRow.length} rows.
   */
  void gatherRows(Tensor out_RD, Tensor in_TD, int[] tokenOfRow_R);

  /**
   * {@code out[tokenOfRow[r]] += in[r]}, in row order: the backward pass of {@link #gatherRows}.
   */
  void scatterAddRows(Tensor out_TD, Tensor in_RD, int[] tokenOfRow_R);

  /**
   * Combine: {@code x[tokenOfRow[r]] += multiplier[r] * omega * y[r]}, in row order.
   *
   * @param omega_1D {@code null} stands for ones
   */
  void combineForward(
      Tensor x_TD, Tensor y_RD, int[] tokenOfRow_R, double[] multiplier_R, Tensor omega_1D);

  /**
   * The backward pass of {@link #combineForward}, with {@code g = dX[tokenOfRow[r]]}:
   *
   * <pre>
   *   dY[r]   = multiplier[r] * omega * g
   *   s[r]    = sum over d of g * omega * y[r]        (the gate's gradient grows from this, spec: s = sum_k g_k w_k f_k)
   *   dOmega += multiplier[r] * g * y[r]
   * </pre>
   *
   * @param omega_1D and {@code dOmega_1D}: both {@code null} stands for frozen ones
   */
  void combineBackward(
      Tensor dY_RD,
      Tensor s_R1,
      Tensor dOmega_1D,
      Tensor dX_TD,
      Tensor y_RD,
      int[] tokenOfRow_R,
      double[] multiplier_R,
      Tensor omega_1D);

  /**
   * {@code out = p u^T}: projections, compared with the directions of the experts' embeddings. In
   * double precision, {@code out} alone is rounded.
   *
   * <pre>
   *   u_j = e_j / max(|e_j|, leastNorm)
   * </pre>
   */
  default void directionsForward(Tensor out_DE, Tensor p_DW, Tensor e_EW, double leastNorm) {
    HostDirections.forward(out_DE, p_DW, e_EW, leastNorm);
  }

  /**
   * The gradient of {@link #directionsForward}; what is added is rounded once.
   *
   * <pre>
   *   dP   += dOut u,  dU = dOut^T p
   *   dE_j += (dU_j - u_j (u_j . dU_j)) / |e_j|,  dU_j / leastNorm where |e_j| is below that
   * </pre>
   */
  default void directionsBackward(
      Tensor dP_DW, Tensor dE_EW, Tensor dOut_DE, Tensor p_DW, Tensor e_EW, double leastNorm) {
    HostDirections.backward(dP_DW, dE_EW, dOut_DE, p_DW, e_EW, leastNorm);
  }

  /**
   * {@code out_11 = sum of x^2}, summed in double precision, but for parts that a device may have
   * summed when it wrote them.
   */
  void sumSquares(Tensor out_11, Tensor x);

  /**
   * One AdamW step with decoupled decay, in place:
   *
   * <pre>
   *   g = gradientScale * grad;  m = b1 m + (1-b1) g;  v = b2 v + (1-b2) g^2
   *   param -= lr * (weightDecay * param + (m / (1-b1^step)) / (sqrt(v / (1-b2^step)) + eps))
   * </pre>
   *
   * The order of operations is PyTorch's: decay first ({@code param *= 1 - lr * weightDecay}), then
   * the update. It either throws before it writes or completes, so that an interrupted optimizer
   * step can go on where it stopped.
   */
  void adamw(Tensor param, Tensor m, Tensor v, Tensor grad, AdamWStep step, double weightDecay);
}
