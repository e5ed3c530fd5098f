package troupe.router.gate;

import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import troupe.core.config.GateConfig;

/**
 * Which experts a token may reach, decided logit by logit from the largest one. Detached: no
 * gradient flows through the decision. Every rule keeps the largest logit itself.
 */
interface MaskRule {
  /** Keeps every expert. Gates know it by identity and store no mask. */
  MaskRule NONE =
      new MaskRule() {
        @Override
        public boolean keeps(double logit, double max) {
          return true;
        }

        @Override
        public VectorMask<Double> keeps(DoubleVector logit, DoubleVector max) {
          return logit.species().maskAll(true);
        }
      };

  /**
   * Whether an expert with this logit is kept, {@code max} being the largest among those eligible.
   */
  boolean keeps(double logit, double max);

  /** {@link #keeps(double, double)} lane by lane, by the same operations. */
  VectorMask<Double> keeps(DoubleVector logit, DoubleVector max);

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

    @Override
    public VectorMask<Double> keeps(DoubleVector logit, DoubleVector max) {
      DoubleVector magnitude = logit.abs();
      DoubleVector scale = max.blend(magnitude, magnitude.compare(VectorOperators.GT, max));
      return max.sub(logit).div(scale).compare(VectorOperators.GT, threshold).not();
    }
  }

  /** The rule of {@link #paper}. */
  record Paper(double epsilon) implements MaskRule {
    @Override
    public boolean keeps(double logit, double max) {
      return max - logit <= epsilon * (Math.abs(max) + Math.abs(logit));
    }

    @Override
    public VectorMask<Double> keeps(DoubleVector logit, DoubleVector max) {
      return max.sub(logit).compare(VectorOperators.LE, max.abs().add(logit.abs()).mul(epsilon));
    }
  }
}
