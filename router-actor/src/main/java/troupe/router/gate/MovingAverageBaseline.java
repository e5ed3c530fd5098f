package troupe.router.gate;

/**
 * The exponential moving average of the loss of earlier steps, {@code b' = decay * b + (1 - decay)
 * * loss}, one for each layer. Unbiased: it knows nothing of the step at hand.
 *
 * @param value before the first step
 */
record MovingAverageBaseline(double value, double decay) implements LossBaseline, GateState {
  @Override
  public double[] perToken(Feedback.Losses losses, double[] state) {
    return new ConstantBaseline(state[0]).perToken(losses, state);
  }

  @Override
  public GateState state() {
    return this;
  }

  @Override
  public int size(int experts) {
    return 1;
  }

  @Override
  public double initial() {
    return value;
  }

  @Override
  public double rate() {
    return 1 - decay;
  }

  /** The sum over tokens of {@code (b - loss) / tokens of the step}. */
  @Override
  public void addChange(double[] dState, double[] state, int tokens, Feedback feedback) {
    Feedback.Losses losses = feedback.losses();
    double sum = 0;
    for (int t = 0; t < tokens; t += losses.span()) {
      int length = Math.min(losses.span(), tokens - t);
      sum += length * (state[0] - losses.mean_T()[t]);
    }
    dState[0] += sum / feedback.tokens();
  }
}
