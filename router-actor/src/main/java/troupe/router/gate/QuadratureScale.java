package troupe.router.gate;

/**
 * Scales drawn from the nodes of a quadrature, so that one forward pass estimates the integral of
 * the loss' slope along an expert's output (docs/numerics.md, "Why").
 */
final class QuadratureScale {
  private QuadratureScale() {}

  /**
   * A node with the chance of its weight. With kappa 1 the estimate is of {@code nabla0} alone, the
   * part that conventional gates leave out: so SparseMixer-v2.
   *
   * @param fullBest whether the best expert is always at full scale: a bias for the router, and
   *     more for the expert to learn from
   */
  static ScaleRule nabla0(Quadrature rule, boolean fullBest) {
    boolean single = rule.nodes().length == 1;
    return (best, draws, token, round) -> {
      if (fullBest && best) {
        return 1;
      }
      return single ? rule.nodes()[0] : rule.node(draws.coin(token, round));
    };
  }

  /**
   * Full scale or a node, evenly: with kappa 2 an estimate of {@code nabla0 + nabla1}, the whole
   * gradient. With {@link Quadrature#MIDPOINT} the very decisions of SparseMixer, or without {@code
   * fullBest} of SparseMixer-2nd.
   */
  static ScaleRule total(Quadrature rule, boolean fullBest) {
    return new EvenScale(rule, fullBest);
  }
}
