package troupe.router.gate;

/** Draws seen through a permutation: token t gets what was token {@code of[t]}'s. */
record PermutedTokens(Draws draws, int[] of) implements Draws {
  @Override
  public double exponential(int token, int expert, int round) {
    return draws.exponential(of[token], expert, round);
  }

  @Override
  public double coin(int token, int round) {
    return draws.coin(of[token], round);
  }

  @Override
  public double scale(int token, int round) {
    return draws.scale(of[token], round);
  }

  @Override
  public double noise(int token, int expert) {
    return draws.noise(of[token], expert);
  }

  @Override
  public double inputNoise(int token, int channel) {
    return draws.inputNoise(of[token], channel);
  }

  @Override
  public double priority(int token) {
    return draws.priority(of[token]);
  }
}
