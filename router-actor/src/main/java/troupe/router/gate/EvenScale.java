package troupe.router.gate;

import java.util.Arrays;

/**
 * Full scale or a part of it, evenly: where a coin is not above one half, a node of a quadrature
 * with the chance of its weight.
 *
 * @param rule {@code null} for any part, U(0, 1): the whole integral
 * @param fullBest whether the best expert is always at full scale
 */
record EvenScale(Quadrature rule, boolean fullBest) implements ScaleRule {
  private static final double HALF = 0.5;

  @Override
  public double scale(boolean best, Draws draws, int token, int round) {
    if (fullBest && best || draws.coin(token, round) > HALF) {
      return 1;
    }
    return isConstant() ? rule.nodes()[0] : part(draws.scale(token, round));
  }

  private boolean isConstant() {
    return rule != null && rule.nodes().length == 1;
  }

  private double part(double draw) {
    return rule == null ? draw : rule.node(draw);
  }

  /** Draws for a list of tokens: whether one needs a coin, and how it falls, nobody can predict. */
  @Override
  public void scales(
      int firstToken,
      int tokens,
      int[] other_R,
      int others,
      Draws draws,
      int round,
      double[] scale_T) {
    Arrays.fill(scale_T, firstToken, firstToken + tokens, 1);
    int count = fullBest ? others : tokens;
    if (count == 0) {
      return;
    }
    int[] token_R = Arrays.copyOf(other_R, count);
    if (!fullBest) {
      Arrays.setAll(token_R, t -> t);
    }
    double[] draw_R = new double[count];
    draws.coins(firstToken, token_R, count, round, draw_R);
    int parts = 0;
    for (int i = 0; i < count; i++) {
      int token = token_R[i];
      token_R[parts] = token;
      // The sign is set where the coin is above one half.
      parts += 1 - (int) (Double.doubleToRawLongBits(HALF - draw_R[i]) >>> 63);
    }
    if (!isConstant() && parts > 0) {
      draws.scales(firstToken, token_R, parts, round, draw_R);
    }
    for (int i = 0; i < parts; i++) {
      scale_T[firstToken + token_R[i]] = isConstant() ? rule.nodes()[0] : part(draw_R[i]);
    }
  }
}
