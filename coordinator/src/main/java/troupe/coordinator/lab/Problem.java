package troupe.coordinator.lab;

import java.util.Arrays;
import java.util.SplittableRandom;
import troupe.core.tensor.Activation;

/**
 * Tokens with the outputs of all experts at hand, so that the gradient of the expected loss can be
 * enumerated. The parameters that are differentiated by are the logits themselves, or a router's
 * weights.
 *
 * @param f_TED output of every expert for every token
 * @param loss_T loss of each token as a function of the layer's output
 * @param x_TD input of the router that made the logits, {@code null} where the logits are the
 *     parameters
 */
record Problem(double[] logits_TE, double[][][] f_TED, SmoothLoss[] loss_T, double[][] x_TD) {
  /** Which problem. */
  enum Kind {
    QUADRATIC,
    CUBIC,
    SOFTPLUS,
    /** A layer of experts between a router and a classifier. */
    LAYER
  }

  private static final int WIDTH = 4;
  private static final int LAYER_WIDTH = 16;
  private static final int LAYER_INNER = 32;
  private static final int CLASSES = 16;

  int tokens() {
    return loss_T.length;
  }

  int experts() {
    return f_TED[0].length;
  }

  /** A random problem; logits are N(0, 1), as are the outputs of experts. */
  static Problem random(Kind kind, int tokens, int experts, Activation activation, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    return switch (kind) {
      case QUADRATIC -> tokens(VectorLoss.Kind.QUADRATIC, tokens, experts, random);
      case CUBIC -> tokens(VectorLoss.Kind.CUBIC, tokens, experts, random);
      case SOFTPLUS -> tokens(VectorLoss.Kind.SOFTPLUS, tokens, experts, random);
      case LAYER -> layer(tokens, experts, activation, random);
    };
  }

  private static Problem tokens(
      VectorLoss.Kind kind, int tokens, int experts, SplittableRandom random) {
    double[][][] f_TED = new double[tokens][][];
    SmoothLoss[] loss_T = new SmoothLoss[tokens];
    for (int t = 0; t < tokens; t++) {
      f_TED[t] = Gaussians.matrix(experts, WIDTH, 1, random);
      loss_T[t] = VectorLoss.random(kind, WIDTH, random);
    }
    return new Problem(Gaussians.vector(tokens * experts, 1, random), f_TED, loss_T, null);
  }

  /**
   * Weights are such that logits, what is inside the experts, and their outputs are near N(0, 1).
   */
  private static Problem layer(
      int tokens, int experts, Activation activation, SplittableRandom random) {
    double[][] x_TD = Gaussians.matrix(tokens, LAYER_WIDTH, 1, random);
    double[][] router_DE =
        Gaussians.matrix(LAYER_WIDTH, experts, 1 / Math.sqrt(LAYER_WIDTH), random);
    double[][] head_DC = Gaussians.matrix(LAYER_WIDTH, CLASSES, 1 / Math.sqrt(LAYER_WIDTH), random);
    double[][][] f_TED = new double[tokens][experts][];
    for (int e = 0; e < experts; e++) {
      double[][] w1_DF =
          Gaussians.matrix(LAYER_WIDTH, LAYER_INNER, 1 / Math.sqrt(LAYER_WIDTH), random);
      double[][] w2_FD =
          Gaussians.matrix(LAYER_INNER, LAYER_WIDTH, Math.sqrt(2.0 / LAYER_INNER), random);
      for (int t = 0; t < tokens; t++) {
        double[] inner_F = times(x_TD[t], w1_DF);
        f_TED[t][e] = times(Arrays.stream(inner_F).map(v -> act(activation, v)).toArray(), w2_FD);
      }
    }
    double[] logits_TE = new double[tokens * experts];
    SmoothLoss[] loss_T = new SmoothLoss[tokens];
    for (int t = 0; t < tokens; t++) {
      System.arraycopy(times(x_TD[t], router_DE), 0, logits_TE, t * experts, experts);
      loss_T[t] = new HeadLoss(x_TD[t], head_DC, random.nextInt(CLASSES));
    }
    return new Problem(logits_TE, f_TED, loss_T, x_TD);
  }

  /** ReLU, or GELU in its tanh form for all else. */
  private static double act(Activation activation, double v) {
    return activation == Activation.RELU
        ? Math.max(v, 0)
        : 0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v * v * v)));
  }

  private static double[] times(double[] row, double[][] matrix) {
    double[] product = new double[matrix[0].length];
    for (int i = 0; i < row.length; i++) {
      for (int j = 0; j < product.length; j++) {
        product[j] += row[i] * matrix[i][j];
      }
    }
    return product;
  }

  /** The gradient of the parameters: that of the logits, or {@code x' dLogits} of a router. */
  double[] parameters(double[] dLogits_TE) {
    if (x_TD == null) {
      return dLogits_TE;
    }
    int experts = experts();
    double[] dW_DE = new double[x_TD[0].length * experts];
    for (int t = 0; t < tokens(); t++) {
      for (int d = 0; d < x_TD[t].length; d++) {
        for (int e = 0; e < experts; e++) {
          dW_DE[d * experts + e] += x_TD[t][d] * dLogits_TE[t * experts + e];
        }
      }
    }
    return dW_DE;
  }
}
