package troupe.router.gate;

/** What the scores of a token's experts are divided by to become weights. */
enum Divisor {
  /** Nothing: weights are the scores. */
  ONE {
    @Override
    double of(double sum) {
      return 1;
    }

    @Override
    double slope(double sum) {
      return 0;
    }
  },
  /** Their sum, so that weights sum to one; scores that all underflowed give weights of zero. */
  SUM {
    @Override
    double of(double sum) {
      return Math.max(sum, Double.MIN_NORMAL);
    }

    @Override
    double slope(double sum) {
      return sum >= Double.MIN_NORMAL ? 1 : 0;
    }
  },
  /** Their sum and 1e-9 (mesh-tensorflow@da90793, moe.py). */
  PADDED_SUM {
    @Override
    double of(double sum) {
      return sum + 1e-9;
    }

    @Override
    double slope(double sum) {
      return 1;
    }
  },
  /** Their sum, at least the spacing of doubles at one (torchscale@4d1e0e8, xmoe/routing.py). */
  FLOORED_SUM {
    @Override
    double of(double sum) {
      return Math.max(sum, Math.ulp(1.0));
    }

    @Override
    double slope(double sum) {
      return sum >= Math.ulp(1.0) ? 1 : 0;
    }
  };

  abstract double of(double sum);

  /** The derivative of {@link #of}. */
  abstract double slope(double sum);

  /** Whether weights of this sum do not change when all scores grow by the same factor. */
  boolean isHomogeneous(double sum) {
    return this != PADDED_SUM && slope(sum) == 1;
  }
}
