package troupe.coordinator.lab;

import java.util.Locale;
import troupe.Golden;

/** A case of estimator_expectation as a problem of one token. */
final class FixtureProblem {
  private FixtureProblem() {}

  static Problem of(Golden golden) {
    VectorLoss loss =
        new VectorLoss(
            VectorLoss.Kind.valueOf(golden.text("loss").toUpperCase(Locale.ROOT)),
            golden.matrix("A"),
            golden.doubles("b"),
            golden.doubles("c3"));
    return new Problem(
        golden.doubles("logits"),
        new double[][][] {golden.matrix("expert_out")},
        new SmoothLoss[] {loss},
        null);
  }
}
