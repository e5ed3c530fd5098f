package troupe.router.trunk;

import troupe.core.tensor.Tensor;
import troupe.router.gate.Draws;

/** Runs a gate over the tokens of a micro-batch: on the host, or on the device that has them. */
interface TokenRouter {
  /**
   * What a gate sees instead of h in training.
   *
   * @param input_TD {@code h * factor}
   * @param factor_TD what h was multiplied by
   */
  record Jittered(Tensor input_TD, Tensor factor_TD) implements AutoCloseable {
    @Override
    public void close() {
      input_TD.close();
      factor_TD.close();
    }
  }

  /** Noise on the router's input, or {@code null} where the gate has none. */
  Jittered jitter(Tensor h_TD, Draws draws);

  /**
   * Chooses experts for every token.
   *
   * @param logits_TE belongs to the routing from now on
   * @param ids_T the vocabulary's number of each token
   * @param state what the gate keeps from step to step, {@code null} if nothing
   * @param draws {@code null} outside of training
   */
  RoutedTokens route(Tensor logits_TE, int[] ids_T, Tensor state, Draws draws, boolean training);

  /** Whether tokens are routed where the device has them, so that the host learns counts late. */
  boolean isOnDevice();
}
