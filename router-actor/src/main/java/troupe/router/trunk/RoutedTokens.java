package troupe.router.trunk;

import troupe.core.tensor.Tensor;
import troupe.router.gate.Feedback;

/**
 * Who of a micro-batch goes to which expert, and what that does to rows and gradients. Rows are
 * sorted by expert, those of an expert in token order.
 */
public interface RoutedTokens extends AutoCloseable {
  /**
   * First row of each expert, and the number of rows at the end. Waits for the device if the gate
   * ran there.
   *
   * @throws troupe.router.gate.NonFiniteLogitsException naming the first token whose logits are NaN
   *     or infinite
   */
  int[] offset_E1();

  /** How many rows there are at most; said without waiting. */
  int mostRows();

  /** What the gate did, once {@link #offset_E1} is known. */
  LayerStats stats();

  /**
   * {@code sent[r] = h[token of r]}, of {@link #mostRows} rows; those behind the last are not
   * written.
   */
  void dispatch(Tensor sent_RD, Tensor h_TD);

  /**
   * {@code x[t] = mid[t] + multiplier[t] * omega * y[row of t]}; a dropped token passes by.
   *
   * @param omega_1D {@code null} stands for ones
   */
  void combine(Tensor x_TD, Tensor mid_TD, Tensor[] y_E, Tensor omega_1D);

  /**
   * {@code dY = multiplier * omega * g, dOmega += multiplier * g * y}; keeps {@code s = sum_d g
   * omega y} for {@link #logitsGradient}.
   */
  void combineBackward(Tensor dY_RD, Tensor dOmega_1D, Tensor dX_TD, Tensor[] y_E, Tensor omega_1D);

  /**
   * {@code dLogits = } the estimator's gradient, that of the balance loss and of the z-loss.
   *
   * @param dState {@code dState += } how the gate wants to change what it keeps; {@code null} if it
   *     keeps nothing
   * @param losses {@code null} unless the gate {@link troupe.router.gate.Gate#needsLosses needs}
   *     them
   * @param load_E share of the tokens of the global batch that each expert was chosen for
   * @param tokens of the global batch
   */
  void logitsGradient(
      Tensor dLogits_TE, Tensor dState, Feedback.Losses losses, double[] load_E, long tokens);

  /** {@code dH[t] += dIn[row of t]}: the backward pass of {@link #dispatch}. */
  void dispatchBackward(Tensor dH_TD, Tensor[] dIn_E);

  @Override
  void close();
}
