package troupe.router.gate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import troupe.Closeness;
import troupe.Golden;
import troupe.core.config.RunConfig.DropOrder;

/**
 * The skip estimator, over all draws there are: unbiased as it is, biased without its weight, with
 * another one, or when it keeps those who come first.
 */
@Tag("golden")
class KoolSkipGoldenTest {
  static Stream<Golden> cases() {
    return Golden.cases("kool_skip");
  }

  /** Draws that choose these experts and keep those with the smaller priority. */
  private record Chosen(int[] expert_T, double[] priority_T) implements SomeDraws {
    @Override
    public double exponential(int token, int expert, int round) {
      return expert == expert_T[token] ? 1e-300 : 1;
    }

    @Override
    public double priority(int token) {
      return priority_T[token];
    }
  }

  /** A fixture, read once. */
  private record Case(
      Golden golden,
      int n,
      int k,
      int capacity,
      double[] logits,
      double[] p,
      double[] loss,
      double[] dLossDPhi,
      double[] baseline) {
    static Case of(Golden golden) {
      return new Case(
          golden,
          golden.integer("num_tokens"),
          golden.integer("num_experts"),
          golden.integer("capacity"),
          golden.doubles("logits"),
          golden.doubles("p"),
          golden.doubles("loss"),
          golden.doubles("dloss_dphi"),
          golden.doubles("baseline"));
    }

    Routing route(int[] expert_T, double[] priority_T, boolean limited) {
      Capacity most =
          limited ? new Capacity(1e-9, capacity, DropOrder.POSITION) : Capacity.DROPLESS;
      GateInput input = GateInput.of(logits, n, k, new Chosen(expert_T, priority_T), true);
      return new SkipGate(new ConstantBaseline(0), false).route(input.with(most));
    }

    /** One of the assignments: the digits of its number. */
    int[] assignment(int code) {
      int[] expert_T = new int[n];
      for (int t = 0, rest = code; t < n; t++, rest /= k) {
        expert_T[t] = rest % k;
      }
      return expert_T;
    }

    double probability(int[] expert_T) {
      double probability = 1;
      for (int t = 0; t < n; t++) {
        probability *= p[t * k + expert_T[t]];
      }
      return probability;
    }

    /** Priorities that lead to each of the sets of tokens that may be kept, all as likely. */
    List<double[]> keptSets(int[] expert_T) {
      List<double[]> sets = new ArrayList<>();
      for (int set = 0; set < 1 << n; set++) {
        int[] drawn_E = new int[k];
        int[] kept_E = new int[k];
        double[] priority_T = new double[n];
        for (int t = 0; t < n; t++) {
          drawn_E[expert_T[t]]++;
          kept_E[expert_T[t]] += set >> t & 1;
          priority_T[t] = 1 - (set >> t & 1);
        }
        Arrays.setAll(drawn_E, e -> Math.min(drawn_E[e], capacity));
        if (Arrays.equals(drawn_E, kept_E)) {
          sets.add(priority_T);
        }
      }
      return sets;
    }

    int assignments() {
      return (int) Math.round(Math.pow(k, n));
    }

    /** All that can happen. */
    List<Event> events() {
      List<Event> events = new ArrayList<>();
      for (int code = 0; code < assignments(); code++) {
        int[] expert_T = assignment(code);
        List<double[]> keptSets = keptSets(expert_T);
        for (double[] priority_T : keptSets) {
          events.add(
              new Event(
                  probability(expert_T) / keptSets.size(), route(expert_T, priority_T, true)));
        }
      }
      return events;
    }

    /** All that can happen when priorities are these. */
    List<Event> events(double[] priority_T, boolean limited) {
      List<Event> events = new ArrayList<>();
      for (int code = 0; code < assignments(); code++) {
        int[] expert_T = assignment(code);
        events.add(new Event(probability(expert_T), route(expert_T, priority_T, limited)));
      }
      return events;
    }
  }

  /** Something that can happen. */
  private record Event(double probability, Routing routing) {}

  private static Feedback feedback(Case c, Routing routing) {
    int n = c.n();
    double[] above_T = new double[n];
    double[] share_T = new double[n];
    for (int t = 0; t < n; t++) {
      above_T[t] = c.loss()[t * c.k() + routing.expert_S()[t]] - c.baseline()[t];
      share_T[t] = 1.0 / n;
    }
    return new Feedback(new double[n], new Feedback.Losses(above_T, share_T, 1), null, n);
  }

  /** What the gate's estimates come to, summed over the events, with their second moment. */
  private static final class Expectation {
    private final Case c;
    private final double[] logits;
    private double phi;
    private double objective;
    private double secondMoment;
    private double kept;

    Expectation(Case c) {
      this.c = c;
      this.logits = new double[c.logits().length];
    }

    /** Adds an event in which the estimate of each token has {@code factor_T} times its weight. */
    void add(Event event, double[] factor_T) {
      int n = c.n();
      int k = c.k();
      Routing routing = event.routing();
      double[] own = new double[logits.length];
      routing.backward(own, feedback(c, routing));
      double squares = 0;
      for (int i = 0; i < own.length; i++) {
        double estimate = own[i] * factor_T[i / k];
        logits[i] += event.probability() * estimate;
        squares += estimate * estimate;
      }
      secondMoment += event.probability() * squares;
      for (int t = 0; t < n; t++) {
        int at = t * k + routing.expert_S()[t];
        double weight = routing.backwardMultiplier_S()[t] * factor_T[t] / n * event.probability();
        phi += weight * c.dLossDPhi()[at];
        objective += weight * c.loss()[at];
        kept += routing.isPlaced(t) ? event.probability() / n : 0;
      }
    }

    void assertIs(String scheme) {
      GoldenTolerance.assertGolden(c.golden().child("expected_grad_logits"), scheme, logits);
      GoldenTolerance.assertGolden(c.golden().child("expected_grad_phi"), scheme, phi);
      GoldenTolerance.assertGolden(c.golden().child("expected_objective"), scheme, objective);
      GoldenTolerance.assertGolden(
          c.golden().child("second_moment_grad_logits"), scheme, secondMoment);
    }

    void assertIsTrue() {
      GoldenTolerance.assertGolden(c.golden(), "true_grad_logits", logits);
      GoldenTolerance.assertGolden(c.golden(), "true_grad_phi", phi);
      GoldenTolerance.assertGolden(c.golden(), "objective", objective);
    }
  }

  private static double[] factors(int n, double factor) {
    double[] factor_T = new double[n];
    Arrays.fill(factor_T, factor);
    return factor_T;
  }

  /** What turns the weights into ones for those that are kept. */
  private static double[] unweighting(Routing routing) {
    double[] factor_T = new double[routing.tokens()];
    for (int t = 0; t < factor_T.length; t++) {
      factor_T[t] = routing.isPlaced(t) ? 1 / routing.backwardMultiplier_S()[t] : 0;
    }
    return factor_T;
  }

  @ParameterizedTest
  @MethodSource("cases")
  void shouldBeUnbiasedWhenItSkipsAtRandom(Golden golden) {
    Case c = Case.of(golden);
    int n = c.n();
    Expectation skip = new Expectation(c);
    for (Event event : c.events()) {
      skip.add(event, factors(n, 1));
    }
    skip.assertIs("skip_iw");
    skip.assertIsTrue();
    GoldenTolerance.assertGolden(golden, "expected_kept_fraction", skip.kept);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void shouldBeReinforceWithoutACapacity(Golden golden) {
    Case c = Case.of(golden);
    int n = c.n();
    Expectation all = new Expectation(c);
    for (Event event : c.events(new double[n], false)) {
      all.add(event, factors(n, 1));
    }
    all.assertIs("reinforce_all");
    all.assertIsTrue();
  }

  @ParameterizedTest
  @MethodSource("cases")
  void shouldBeBiasedAsTheControlsAre(Golden golden) {
    Case c = Case.of(golden);
    int n = c.n();
    Expectation unweighted = new Expectation(c);
    Expectation keptMean = new Expectation(c);
    for (Event event : c.events()) {
      Routing routing = event.routing();
      double[] factor_T = unweighting(routing);
      unweighted.add(event, factor_T);
      long kept = Ledger.of(routing).kept();
      for (int t = 0; t < n; t++) {
        factor_T[t] *= (double) n / kept;
      }
      keptMean.add(event, factor_T);
    }
    unweighted.assertIs("skip_unweighted");
    keptMean.assertIs("skip_kept_mean");

    double[] byPosition = new double[n];
    Arrays.setAll(byPosition, t -> t);
    Expectation first = new Expectation(c);
    Expectation firstWeighted = new Expectation(c);
    for (Event event : c.events(byPosition, true)) {
      first.add(event, unweighting(event.routing()));
      firstWeighted.add(event, factors(n, 1));
    }
    first.assertIs("first_come_unweighted");
    firstWeighted.assertIs("first_come_iw");
  }

  @ParameterizedTest
  @MethodSource("cases")
  void shouldMatchSingleDraws(Golden golden) {
    Case c = Case.of(golden);
    int n = c.n();
    int k = c.k();
    for (Golden outcome : golden.children("outcomes")) {
      boolean[] kept_T = outcome.flags("kept");
      double[] priority_T = new double[n];
      Arrays.setAll(priority_T, t -> kept_T[t] ? 0 : 1);
      Routing routing = c.route(outcome.ints("assignment"), priority_T, true);
      double[] weight_T = outcome.doubles("weights_times_n");
      double phi = 0;
      for (int t = 0; t < n; t++) {
        assertEquals(kept_T[t], routing.isPlaced(t));
        assertEquals(weight_T[t], routing.backwardMultiplier_S()[t], 1e-15);
        int at = t * k + routing.expert_S()[t];
        phi += routing.backwardMultiplier_S()[t] * c.dLossDPhi()[at] / n;
      }
      assertArrayEquals(factors(n, 1), routing.multiplier_S());
      double[] dLogits = new double[n * k];
      routing.backward(dLogits, feedback(c, routing));
      GoldenTolerance.assertGolden(outcome, "grad_logits", dLogits);
      Closeness.assertClose("grad_phi", outcome.number("grad_phi"), phi, 1e-12, 2e-15);
    }
  }
}
