package troupe.router.gate;

import java.util.Arrays;
import java.util.List;
import troupe.core.tensor.RoutingKernels;

/**
 * Scales drawn from the nodes of a quadrature, so that one forward pass estimates the integral of
 * the loss' slope along an expert's output (docs/numerics.md, "Why").
 *
 * @param rule {@code null} for any scale, U(0, 1): the integral itself
 * @param fullBest whether the best expert is always at full scale: a bias for the router, and more
 *     for the expert to learn from
 * @param evenly whether it is full scale or a node, evenly
 */
record QuadratureScale(Quadrature rule, boolean fullBest, boolean evenly) implements ScaleRule {
  // Not among the rules of ScaleRule: to begin either class would need the other, and two threads
  // that begin with one each would wait for each other for ever.

  /** SparseMixer-2nd: the mid-point rule, 1 or 1/2 evenly. */
  static final QuadratureScale MIDPOINT = total(Quadrature.MIDPOINT, false);

  /**
   * SparseMixer: mid-point except where the sampled expert is the one that inference would take.
   */
  static final QuadratureScale BALANCED = total(Quadrature.MIDPOINT, true);

  /** SparseMixer-inf: like balanced with U(0, 1) in place of 1/2, the whole path integral. */
  static final QuadratureScale INTEGRAL = total(null, true);

  private static final double HALF = 0.5;

  /**
   * A node with the chance of its weight. With kappa 1 the estimate is of {@code nabla0} alone, the
   * part that conventional gates leave out: so SparseMixer-v2.
   */
  static QuadratureScale nabla0(Quadrature rule, boolean fullBest) {
    return new QuadratureScale(rule, fullBest, false);
  }

  /**
   * Full scale or a node, evenly: with kappa 2 an estimate of {@code nabla0 + nabla1}, the whole
   * gradient. With {@link Quadrature#MIDPOINT} the very decisions of SparseMixer, or without {@code
   * fullBest} of SparseMixer-2nd.
   */
  static QuadratureScale total(Quadrature rule, boolean fullBest) {
    return new QuadratureScale(rule, fullBest, true);
  }

  @Override
  public double scale(boolean best, Draws draws, int token, int round) {
    if (fullBest && best || evenly && draws.coin(token, round) > HALF) {
      return 1;
    }
    if (isConstant()) {
      return rule.nodes()[0];
    }
    return node(evenly ? draws.scale(token, round) : draws.coin(token, round));
  }

  /** The same scales for a device that routes. */
  RoutingKernels.Scale onDevice() {
    if (rule == null) {
      return new RoutingKernels.Scale(fullBest, evenly, List.of(), List.of());
    }
    double[] upTo = rule.weights().clone();
    for (int i = 1; i < upTo.length; i++) {
      upTo[i] += upTo[i - 1];
    }
    return new RoutingKernels.Scale(fullBest, evenly, listOf(rule.nodes()), listOf(upTo));
  }

  private static List<Double> listOf(double[] values) {
    return Arrays.stream(values).boxed().toList();
  }

  private boolean isConstant() {
    return rule != null && rule.nodes().length == 1;
  }

  private double node(double draw) {
    return rule == null ? draw : rule.node(draw);
  }

  /** Draws for a list of tokens: whether one needs a draw, and how it falls, nobody can predict. */
  @Override
  public void scales(
      int firstToken,
      int tokens,
      int[] other_R,
      int others,
      Draws draws,
      int round,
      double[] scale_T,
      int at) {
    Arrays.fill(scale_T, at, at + tokens, 1);
    int count = fullBest ? others : tokens;
    int[] token_R = Arrays.copyOf(other_R, count);
    if (!fullBest) {
      Arrays.setAll(token_R, t -> t);
    }
    double[] draw_R = new double[count];
    if (count > 0 && evenly) {
      draws.coins(firstToken, token_R, count, round, draw_R);
      count = tails(draw_R, token_R, count);
    }
    if (count > 0 && !isConstant()) {
      if (evenly) {
        draws.scales(firstToken, token_R, count, round, draw_R);
      } else {
        draws.coins(firstToken, token_R, count, round, draw_R);
      }
    }
    for (int i = 0; i < count; i++) {
      scale_T[at + token_R[i]] = isConstant() ? rule.nodes()[0] : node(draw_R[i]);
    }
  }

  /** Leaves the tokens whose coin is not above one half; returns how many. */
  private static int tails(double[] coin_R, int[] token_R, int count) {
    int tails = 0;
    for (int i = 0; i < count; i++) {
      token_R[tails] = token_R[i];
      // The sign is set where the coin is above one half.
      tails += 1 - (int) (Double.doubleToRawLongBits(HALF - coin_R[i]) >>> 63);
    }
    return tails;
  }
}
