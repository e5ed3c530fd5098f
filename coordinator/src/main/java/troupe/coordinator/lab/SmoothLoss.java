package troupe.coordinator.lab;

/** The rest of a network as a function of a layer's output for one token. */
interface SmoothLoss {
  /** {@code l(y)}. */
  double value(double[] y_D);

  /** {@code dl/dy}. */
  double[] gradient(double[] y_D);
}
