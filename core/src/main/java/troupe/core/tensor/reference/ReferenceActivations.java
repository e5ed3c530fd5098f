package troupe.core.tensor.reference;

import troupe.core.tensor.Activation;

/** Activations and their derivatives. */
final class ReferenceActivations {
  private static final double GELU_SCALE = Math.sqrt(2 / Math.PI);
  private static final double GELU_CUBE = 0.044715;

  private ReferenceActivations() {}

  static void forward(ReferenceTensor out, ReferenceTensor pre, Activation activation) {
    int width = out.columns();
    for (int r = 0; r < out.rows(); r++) {
      for (int f = 0; f < width; f++) {
        double x = pre.at(r, f);
        out.put(
            r,
            f,
            switch (activation) {
              case GELU -> 0.5 * x * (1 + Math.tanh(geluArgument(x)));
              case RELU -> Math.max(0, x);
              case SWIGLU -> x * sigmoid(x) * pre.at(r, width + f);
            });
      }
    }
  }

  static void backward(
      ReferenceTensor dPre, ReferenceTensor dOut, ReferenceTensor pre, Activation activation) {
    int width = dOut.columns();
    for (int r = 0; r < dOut.rows(); r++) {
      for (int f = 0; f < width; f++) {
        double x = pre.at(r, f);
        double dy = dOut.at(r, f);
        switch (activation) {
          case GELU -> dPre.put(r, f, dy * geluDerivative(x));
          case RELU -> dPre.put(r, f, x > 0 ? dy : 0);
          case SWIGLU -> {
            double gate = sigmoid(x);
            dPre.put(r, f, dy * pre.at(r, width + f) * gate * (1 + x * (1 - gate)));
            dPre.put(r, width + f, dy * x * gate);
          }
        }
      }
    }
  }

  private static double geluArgument(double x) {
    return GELU_SCALE * (x + GELU_CUBE * x * x * x);
  }

  private static double geluDerivative(double x) {
    double tanh = Math.tanh(geluArgument(x));
    double inner = GELU_SCALE * (1 + 3 * GELU_CUBE * x * x);
    return 0.5 * (1 + tanh) + 0.5 * x * (1 - tanh * tanh) * inner;
  }

  private static double sigmoid(double x) {
    return 1 / (1 + Math.exp(-x));
  }
}
