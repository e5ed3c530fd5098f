package troupe.core.tensor.reference;

/** Layer norm (Ba et al., arXiv 1607.06450) over the columns of each row. */
final class ReferenceLayerNorm {
  private ReferenceLayerNorm() {}

  static void forward(
      ReferenceTensor out,
      ReferenceTensor mean,
      ReferenceTensor rstd,
      ReferenceTensor x,
      ReferenceTensor gain,
      ReferenceTensor bias,
      double epsilon) {
    int width = x.columns();
    for (int t = 0; t < x.rows(); t++) {
      double sum = 0;
      for (int d = 0; d < width; d++) {
        sum += x.at(t, d);
      }
      double average = sum / width;
      double squares = 0;
      for (int d = 0; d < width; d++) {
        squares += (x.at(t, d) - average) * (x.at(t, d) - average);
      }
      double scale = 1 / Math.sqrt(squares / width + epsilon);
      for (int d = 0; d < width; d++) {
        out.put(t, d, (x.at(t, d) - average) * scale * gain.at(d) + bias.at(d));
      }
      mean.put(t, average);
      rstd.put(t, scale);
    }
  }

  /**
   * With {@code n = (x - mean) rstd} and {@code g = dOut * gain}: {@code dX += rstd (g - average(g)
   * - n average(g n))}.
   */
  static void backward(
      ReferenceTensor dX,
      ReferenceTensor dGain,
      ReferenceTensor dBias,
      ReferenceTensor dOut,
      ReferenceTensor x,
      ReferenceTensor mean,
      ReferenceTensor rstd,
      ReferenceTensor gain) {
    int width = x.columns();
    for (int t = 0; t < x.rows(); t++) {
      double sum = 0;
      double weighted = 0;
      for (int d = 0; d < width; d++) {
        double normal = (x.at(t, d) - mean.at(t)) * rstd.at(t);
        double g = dOut.at(t, d) * gain.at(d);
        sum += g;
        weighted += g * normal;
        dGain.plus(0, d, dOut.at(t, d) * normal);
        dBias.plus(0, d, dOut.at(t, d));
      }
      for (int d = 0; d < width; d++) {
        double normal = (x.at(t, d) - mean.at(t)) * rstd.at(t);
        double g = dOut.at(t, d) * gain.at(d);
        dX.plus(t, d, rstd.at(t) * (g - sum / width - normal * weighted / width));
      }
    }
  }
}
