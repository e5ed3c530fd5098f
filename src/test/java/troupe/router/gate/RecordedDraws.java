package troupe.router.gate;

import troupe.Golden;

/**
 * The draws that a golden case recorded. Asking for one that the authors' code never made fails.
 */
record RecordedDraws(
    int experts, double[] exponential_TE, double[] coin_T, double[] scale_T, double[] noise_TE)
    implements SomeDraws {

  static RecordedDraws of(Golden golden) {
    return new RecordedDraws(
        golden.integer("num_experts"),
        optional(golden, "exp_noise"),
        optional(golden, "rand_first_order"),
        optional(golden, "rand_scale"),
        optional(golden, "rand_noise"));
  }

  private static double[] optional(Golden golden, String key) {
    return golden.has(key) ? golden.doubles(key) : null;
  }

  @Override
  public double exponential(int token, int expert, int round) {
    return exponential_TE[token * experts + expert];
  }

  @Override
  public double coin(int token, int round) {
    return coin_T[token];
  }

  @Override
  public double scale(int token, int round) {
    return scale_T[token];
  }

  @Override
  public double noise(int token, int expert) {
    return noise_TE[token * experts + expert];
  }
}
