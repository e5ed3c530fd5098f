package troupe.router.gate;

import java.util.List;
import troupe.Golden;

/** The draws that a golden case of several rounds recorded. */
record RecordedRounds(int experts, List<double[]> exponential_TE, List<double[]> coin_T)
    implements SomeDraws {

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
}
