package troupe.core.tensor.reference;

/** Dispatch and combine: rows of tokens to rows of experts and back. */
final class ReferenceRouting {
  private ReferenceRouting() {}

  static void gather(ReferenceTensor out, ReferenceTensor in, int[] tokenOfRow) {
    for (int r = 0; r < tokenOfRow.length; r++) {
      for (int d = 0; d < out.columns(); d++) {
        out.put(r, d, in.at(tokenOfRow[r], d));
      }
    }
  }

  static void scatterAdd(ReferenceTensor out, ReferenceTensor in, int[] tokenOfRow) {
    for (int r = 0; r < tokenOfRow.length; r++) {
      for (int d = 0; d < out.columns(); d++) {
        out.plus(tokenOfRow[r], d, in.at(r, d));
      }
    }
  }

  static void combineForward(
      ReferenceTensor x,
      ReferenceTensor y,
      int[] tokenOfRow,
      double[] multiplier,
      ReferenceTensor omega) {
    for (int r = 0; r < tokenOfRow.length; r++) {
      for (int d = 0; d < x.columns(); d++) {
        double weight = omega == null ? 1 : omega.at(d);
        x.plus(tokenOfRow[r], d, multiplier[r] * weight * y.at(r, d));
      }
    }
  }

  static void combineBackward(
      ReferenceTensor dY,
      ReferenceTensor s,
      ReferenceTensor dOmega,
      ReferenceTensor dX,
      ReferenceTensor y,
      int[] tokenOfRow,
      double[] multiplier,
      ReferenceTensor omega) {
    for (int r = 0; r < tokenOfRow.length; r++) {
      double sum = 0;
      for (int d = 0; d < dX.columns(); d++) {
        double g = dX.at(tokenOfRow[r], d);
        double weight = omega == null ? 1 : omega.at(d);
        double output = y.at(r, d);
        sum += g * weight * output;
        if (dOmega != null) {
          dOmega.plus(0, d, multiplier[r] * g * output);
        }
        dY.put(r, d, multiplier[r] * weight * g);
      }
      s.put(r, sum);
    }
  }
}
