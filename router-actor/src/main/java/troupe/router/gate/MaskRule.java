package troupe.router.gate;

import troupe.core.config.RunConfig;

/**
 * Which experts a token may reach, decided logit by logit from the largest one. Detached: no
 * gradient flows through the decision. Every rule keeps the largest logit itself.
 */
@FunctionalInterface
interface MaskRule {
  /** Keeps every expert. Gates know it by identity and store no mask. */
  MaskRule NONE = (logit, max) -> true;

  /**
   * Whether an expert with this logit is kept, {@code max} being the largest among those eligible.
   */
  boolean keeps(double logit, double max);

  /**
   * The rule of the authors' code: masked iff {@code (max - logit) / max(|logit|, max) > 2
   * epsilon}. Plain IEEE division: 0/0 is NaN, and NaN compares false, so ties at zero stay.
   *
   * <p>Source: microsoft/SparseMixer@1b41d56, sparsemixer.py.
   */
  static MaskRule code(double epsilon) {
    double threshold = 2 * epsilon;
    return (logit, max) -> {
      double magnitude = Math.abs(logit);
      double scale = magnitude > max ? magnitude : max;
      // Not <=: NaN has to keep.
      return !((max - logit) / scale > threshold);
    };
  }

  /**
   * The rule of the paper: kept iff {@code max - logit <= epsilon (|max| + |logit|)}, which is
   * exactly the set of experts that can win an argmax under logit jitter U(1 - epsilon, 1 +
   * epsilon). A subset of what {@link #code} keeps.
   */
  static MaskRule paper(double epsilon) {
    return (logit, max) -> max - logit <= epsilon * (Math.abs(max) + Math.abs(logit));
  }

  /** The rule that a config names, with its jitter as the width. */
  static MaskRule of(RunConfig.Mask mask, double epsilon) {
    return switch (mask) {
      case CODE -> code(epsilon);
      case PAPER -> paper(epsilon);
      case NONE -> NONE;
    };
  }
}
