package troupe.router.gate;

import java.util.Arrays;
import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.LongVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;
import troupe.core.config.GateConfig;

/**
 * Which experts a token may reach, decided logit by logit from the largest one. Detached: no
 * gradient flows through the decision. Every rule keeps the largest logit itself.
 */
@FunctionalInterface
interface MaskRule {
  VectorSpecies<Double> SPECIES = DoubleVector.SPECIES_PREFERRED;
  VectorSpecies<Long> BITS = LongVector.SPECIES_PREFERRED;
  int WIDTH = SPECIES.length();

  /** Keeps every expert. Gates know it by identity and store no mask. */
  MaskRule NONE =
      new MaskRule() {
        @Override
        public boolean keeps(double logit, double max) {
          return true;
        }

        @Override
        public void loopBits(
            double[] x_ET,
            int from,
            int experts,
            int stride,
            double[] max_T,
            int tokens,
            long[] bits_T,
            int at) {
          Arrays.fill(bits_T, at, at + tokens, -1L >>> -experts);
        }
      };

  /**
   * Whether an expert with this logit is kept, {@code max} being the largest among those eligible.
   */
  boolean keeps(double logit, double max);

  /**
   * {@link #keeps} of up to 64 experts for many tokens: bit e of {@code bits_T[at + t]} is that of
   * logit {@code x_ET[from + e * stride + t]} and the largest one of token t. Each rule has its own
   * loop over vectors: one for all of them would look the rule up for every vector.
   *
   * @param tokens whole vectors of them
   */
  default void loopBits(
      double[] x_ET,
      int from,
      int experts,
      int stride,
      double[] max_T,
      int tokens,
      long[] bits_T,
      int at) {
    for (int t = 0; t < tokens; t++) {
      long bits = 0;
      for (int e = 0; e < experts; e++) {
        bits |= keeps(x_ET[from + e * stride + t], max_T[t]) ? 1L << e : 0;
      }
      bits_T[at + t] = bits;
    }
  }

  /**
   * The rule of the authors' code: masked iff {@code (max - logit) / max(|logit|, max) > 2
   * epsilon}. Plain IEEE division: 0/0 is NaN, and NaN compares false, so ties at zero stay.
   *
   * <p>Source: microsoft/SparseMixer@1b41d56, sparsemixer.py.
   */
  static MaskRule code(double epsilon) {
    return new Code(2 * epsilon);
  }

  /**
   * The rule of the paper: kept iff {@code max - logit <= epsilon (|max| + |logit|)}, which is
   * exactly the set of experts that can win an argmax under logit jitter U(1 - epsilon, 1 +
   * epsilon). A subset of what {@link #code} keeps.
   */
  static MaskRule paper(double epsilon) {
    return new Paper(epsilon);
  }

  /** The rule that a config names, with its jitter as the width. */
  static MaskRule of(GateConfig.Mask mask, double epsilon) {
    return switch (mask) {
      case CODE -> code(epsilon);
      case PAPER -> paper(epsilon);
      case NONE -> NONE;
    };
  }

  /** The rule of {@link #code}. */
  record Code(double threshold) implements MaskRule {
    @Override
    public boolean keeps(double logit, double max) {
      double magnitude = Math.abs(logit);
      double scale = magnitude > max ? magnitude : max;
      // Not <=: NaN has to keep.
      return !((max - logit) / scale > threshold);
    }

    /**
     * Without a division: {@code a / b} is rounded to more than t iff {@code a - t b > b ulp(t) /
     * 2}, and where that is close the left side is exact, if computed by one operation. No quotient
     * of doubles lies in the middle between two of them. Logits below 1e-290, which no float is,
     * may be decided otherwise.
     */
    @Override
    public void loopBits(
        double[] x_ET,
        int from,
        int experts,
        int stride,
        double[] max_T,
        int tokens,
        long[] bits_T,
        int at) {
      DoubleVector half = DoubleVector.broadcast(SPECIES, Math.ulp(threshold) / 2);
      DoubleVector minus = DoubleVector.broadcast(SPECIES, -threshold);
      for (int t = 0; t < tokens; t += WIDTH) {
        DoubleVector max = DoubleVector.fromArray(SPECIES, max_T, t);
        LongVector bits = LongVector.zero(BITS);
        for (int e = experts - 1; e >= 0; e--) {
          DoubleVector logit = DoubleVector.fromArray(SPECIES, x_ET, from + e * stride + t);
          DoubleVector magnitude = logit.abs();
          DoubleVector scale = max.blend(magnitude, magnitude.compare(VectorOperators.GT, max));
          VectorMask<Double> masked =
              scale.fma(minus, max.sub(logit)).compare(VectorOperators.GT, scale.mul(half));
          bits = bits.add(bits).sub((LongVector) masked.cast(BITS).toVector());
        }
        bits.not().and(-1L >>> -experts).intoArray(bits_T, at + t);
      }
    }
  }

  /** The rule of {@link #paper}. */
  record Paper(double epsilon) implements MaskRule {
    @Override
    public boolean keeps(double logit, double max) {
      return max - logit <= epsilon * (Math.abs(max) + Math.abs(logit));
    }

    @Override
    public void loopBits(
        double[] x_ET,
        int from,
        int experts,
        int stride,
        double[] max_T,
        int tokens,
        long[] bits_T,
        int at) {
      for (int t = 0; t < tokens; t += WIDTH) {
        DoubleVector max = DoubleVector.fromArray(SPECIES, max_T, t);
        LongVector bits = LongVector.zero(BITS);
        for (int e = 0; e < experts; e++) {
          DoubleVector logit = DoubleVector.fromArray(SPECIES, x_ET, from + e * stride + t);
          DoubleVector width = max.abs().add(logit.abs()).mul(epsilon);
          VectorMask<Double> keeps = max.sub(logit).compare(VectorOperators.LE, width);
          bits = bits.lanewise(VectorOperators.OR, 1L << e, keeps.cast(BITS));
        }
        bits.intoArray(bits_T, at + t);
      }
    }
  }
}
