package troupe.router.gate;

/**
 * Multiplicative noise U(1 - epsilon, 1 + epsilon) of the Switch Transformer, training only. Google
 * multiplies the router's input with it (mesh-tensorflow@da90793, moe.py), the authors of
 * SparseMixer the logits (microsoft/SparseMixer@1b41d56).
 *
 * @param epsilon half the width, in [0, 1]
 */
public record Jitter(double epsilon) {
  /** No noise: every factor is one. */
  public static final Jitter NONE = new Jitter(0);

  /** Checks epsilon. */
  public Jitter {
    if (!(epsilon >= 0 && epsilon <= 1)) {
      throw new IllegalArgumentException("jitter: " + epsilon + " (expected: 0 to 1)");
    }
  }

  /** The factor that a draw r in [0, 1) stands for. */
  public double factor(double r) {
    return r * 2 * epsilon + 1 - epsilon;
  }

  /**
   * The factors of a router's input, {@code tokens * channels}: {@code x' = u * x} forward, {@code
   * dX = u * dX'} backward.
   */
  public double[] inputFactors(int tokens, int channels, Draws draws) {
    double[] u_TD = new double[Math.multiplyExact(tokens, channels)];
    for (int t = 0, i = 0; t < tokens; t++) {
      for (int c = 0; c < channels; c++, i++) {
        u_TD[i] = factor(draws.inputNoise(t, c));
      }
    }
    return u_TD;
  }
}
