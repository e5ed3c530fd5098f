package troupe.router.gate;

import java.util.List;
import troupe.Golden;

/** The draws that a golden case of several rounds recorded. */
record RecordedRounds(int experts, List<double[]> exponential_TE, List<double[]> coin_T)
    implements Draws {

  static RecordedRounds of(Golden golden) {
    List<Golden> rounds = golden.children("rounds");
    return new RecordedRounds(
        golden.integer("num_experts"),
        rounds.stream().map(round -> round.doubles("exp_noise")).toList(),
        rounds.stream().map(round -> round.doubles("rand_third_order")).toList());
  }

  @Override
  public double exponential(int token, int expert, int round) {
    return exponential_TE.get(round)[token * experts + expert];
  }

  @Override
  public double coin(int token, int round) {
    return coin_T.get(round)[token];
  }

  @Override
  public double scale(int token, int round) {
    throw new UnsupportedOperationException("scale");
  }

  @Override
  public double noise(int token, int expert) {
    throw new UnsupportedOperationException("noise");
  }

  @Override
  public double inputNoise(int token, int channel) {
    throw new UnsupportedOperationException("inputNoise");
  }

  @Override
  public double priority(int token) {
    throw new UnsupportedOperationException("priority");
  }
}
