package troupe.router.gate;

/** Draws that make a gate take one expert, one side of the coin and one scale. */
record ForcedDraws(int expert, double coin, double scaleDraw) implements Draws {
  /** So small that its logarithm outweighs any difference of ordinary logits. */
  private static final double TINY = 1e-300;

  @Override
  public double exponential(int token, int expert, int round) {
    return expert == this.expert ? TINY : 1;
  }

  @Override
  public double coin(int token, int round) {
    return coin;
  }

  @Override
  public double scale(int token, int round) {
    return scaleDraw;
  }

  @Override
  public double noise(int token, int expert) {
    return 0.5;
  }

  @Override
  public double inputNoise(int token, int channel) {
    return 0.5;
  }

  @Override
  public double priority(int token) {
    return 0;
  }
}
