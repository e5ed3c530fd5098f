package troupe.router.gate;

/**
 * What the scores of a token's experts are divided by to become weights: but for {@link #ONE}, the
 * larger of their sum and a floor, and a little more.
 */
enum Divisor {
  /** Nothing: weights are the scores. */
  ONE(1, 0),
  /** Their sum, so that weights sum to one; scores that all underflowed give weights of zero. */
  SUM(Double.MIN_NORMAL, 0),
  /** Their sum and 1e-9 (mesh-tensorflow@da90793, moe.py). */
  PADDED_SUM(0, 1e-9),
  /** Their sum, at least the spacing of doubles at one (torchscale@4d1e0e8, xmoe/routing.py). */
  FLOORED_SUM(Math.ulp(1.0), 0);

  private final double floor;
  private final double padding;

  Divisor(double floor, double padding) {
    this.floor = floor;
    this.padding = padding;
  }

  double of(double sum) {
    return this == ONE ? 1 : Math.max(sum, floor) + padding;
  }

  /** The derivative of {@link #of}. */
  double slope(double sum) {
    return this != ONE && sum >= floor ? 1 : 0;
  }

  /** Whether weights of this sum do not change when all scores grow by the same factor. */
  boolean isHomogeneous(double sum) {
    return this != PADDED_SUM && slope(sum) == 1;
  }
}
