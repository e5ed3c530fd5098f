package troupe.router.gate;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import java.util.stream.IntStream;
import troupe.Golden;

/**
 * A token of which is known what every expert makes of it and what loss that has, so that what an
 * estimator does on average is summed over everything it may draw.
 *
 * @param p the chance of each expert to be sampled
 */
record OneToken(double[] logits, double[] p, double[][] f_ED, Loss loss) {
  /** A coin above every threshold: full scale. */
  static final double FULL = 0.9;

  /** A coin below every threshold. */
  static final double PART = 0.1;

  /** l(y). */
  interface Loss {
    double value(double[] y);

    double[] gradient(double[] y);
  }

  /** A draw that stands for all of its kind, and the chance of those. */
  record Cell(double draw, double chance) {
    static final List<Cell> ANY = List.of(new Cell(0.5, 1));
    static final List<Cell> EVEN = List.of(new Cell(FULL, 0.5), new Cell(PART, 0.5));

    /** Cells between these draws, 0 and 1. */
    static List<Cell> between(double... cuts) {
      List<Cell> cells = new ArrayList<>();
      for (int i = 0; i <= cuts.length; i++) {
        double from = i == 0 ? 0 : cuts[i - 1];
        double to = i == cuts.length ? 1 : cuts[i];
        cells.add(new Cell((from + to) / 2, to - from));
      }
      return cells;
    }

    /** A cell for each node of a quadrature. */
    static List<Cell> of(Quadrature rule) {
      double[] cuts = Arrays.copyOf(rule.weights(), rule.weights().length - 1);
      Arrays.parallelPrefix(cuts, Double::sum);
      return between(cuts);
    }

    /** All draws in [0, 1): for what is smooth in the draw, to the last digits. */
    static List<Cell> everywhere() {
      Quadrature rule = Quadrature.gauss(40);
      return IntStream.range(0, rule.nodes().length)
          .mapToObj(i -> new Cell(rule.nodes()[i], rule.weights()[i]))
          .toList();
    }
  }

  /** What a gate gave. */
  record Outcome(Routing routing, double[] y, double[] gradient) {
    double square() {
      return Arrays.stream(gradient).map(v -> v * v).sum();
    }
  }

  static OneToken of(Golden golden) {
    return of(golden, ExampleLoss.of(golden));
  }

  static OneToken of(Golden golden, Loss loss) {
    return new OneToken(
        golden.doubles("logits"), golden.doubles("p"), golden.matrix("expert_out"), loss);
  }

  /** Routes, combines and goes back. */
  Outcome outcome(Gate gate, Draws draws, boolean training, double... state) {
    GateInput input = GateInput.of(logits, 1, logits.length, draws, training).with(state);
    Routing routing = gate.route(input);
    double[] y = new double[f_ED[0].length];
    for (int slot = 0; slot < routing.slots(); slot++) {
      for (int d = 0; d < y.length; d++) {
        y[d] += routing.multiplier_S()[slot] * f_ED[routing.expert_S()[slot]][d];
      }
    }
    double[] g = loss.gradient(y);
    double[] s_S =
        Arrays.stream(routing.expert_S()).mapToDouble(expert -> dot(g, f_ED[expert])).toArray();
    double[] gradient = new double[logits.length];
    Feedback.Losses losses = Feedback.Losses.of(new double[] {loss.value(y)}, 1, 1);
    routing.backward(gradient, new Feedback(s_S, losses, null, 1));
    return new Outcome(routing, y, gradient);
  }

  static double dot(double[] a, double[] b) {
    return IntStream.range(0, a.length).mapToDouble(i -> a[i] * b[i]).sum();
  }

  /** The mean of what {@code of} says of an outcome in training, over experts, coins and scales. */
  double[] mean(
      Gate gate,
      List<Cell> coins,
      List<Cell> scales,
      Function<Outcome, double[]> of,
      double... state) {
    double[] mean = null;
    for (int expert = 0; expert < p.length; expert++) {
      if (p[expert] == 0) {
        continue;
      }
      for (Cell coin : coins) {
        for (Cell scale : scales) {
          ForcedDraws draws = new ForcedDraws(expert, coin.draw(), scale.draw());
          double[] value = of.apply(outcome(gate, draws, true, state));
          mean = mean == null ? new double[value.length] : mean;
          for (int j = 0; j < value.length; j++) {
            mean[j] += p[expert] * coin.chance() * scale.chance() * value[j];
          }
        }
      }
    }
    return mean;
  }

  /** The expected gradient of the logits. */
  double[] expectation(Gate gate, List<Cell> coins, List<Cell> scales, double... state) {
    return mean(gate, coins, scales, Outcome::gradient, state);
  }

  /** The expected square of the gradient's norm. */
  double secondMoment(Gate gate, List<Cell> coins, double... state) {
    return mean(gate, coins, Cell.ANY, o -> new double[] {o.square()}, state)[0];
  }

  /** {@code sum_i l(p_i f_i) dp_i}, or with {@code l(f_i)} where outputs are not gated. */
  double[] nabla0(boolean gated) {
    double[] gradient = new double[p.length];
    for (int i = 0; i < p.length; i++) {
      double scale = gated ? p[i] : 1;
      double l = loss.value(Arrays.stream(f_ED[i]).map(v -> scale * v).toArray());
      for (int j = 0; j < p.length; j++) {
        gradient[j] += l * p[i] * ((i == j ? 1 : 0) - p[j]);
      }
    }
    return gradient;
  }

  /** {@code sum_i p_i <l'(p_i f_i), f_i> dp_i}. */
  double[] nabla1() {
    double[] gradient = new double[p.length];
    for (int i = 0; i < p.length; i++) {
      double scale = p[i];
      double[] g = loss.gradient(Arrays.stream(f_ED[i]).map(v -> scale * v).toArray());
      for (int j = 0; j < p.length; j++) {
        gradient[j] += p[i] * dot(g, f_ED[i]) * p[i] * ((i == j ? 1 : 0) - p[j]);
      }
    }
    return gradient;
  }
}
