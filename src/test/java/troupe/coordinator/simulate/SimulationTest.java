package troupe.coordinator.simulate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import troupe.core.UserException;
import troupe.core.config.RunConfig;
import troupe.router.gate.Ledger;

/** Tokens go where they were drawn to go, and none is lost or counted twice. */
class SimulationTest {
  @ParameterizedTest
  @ValueSource(strings = {"drop", "next"})
  void shouldLoseNoRowWhenCapacityIsSwept(String overflow) {
    SimulationResult result =
        Simulations.run(
            "experts.overflow=" + overflow,
            "simulate.routers=[softmax-topk, switch, sparsemixer, gshard, hash, deepseek-v3]");
    for (SimulationResult.OfRouter router : result.routers()) {
      long routed =
          router.routed_SLE().stream()
              .flatMap(Arrays::stream)
              .mapToLong(routed_E -> Arrays.stream(routed_E).sum())
              .sum();
      for (SimulationResult.OfFactor factor : router.factors()) {
        String message = router.type() + " " + factor.factor();
        Ledger ledger = factor.ledger();
        assertEquals(routed, ledger.routed(), message);
        assertEquals(ledger.routed(), ledger.kept() + ledger.dropped(), message);
        assertEquals(
            ledger.dropped() + ledger.rerouted(),
            Arrays.stream(factor.overflow_E()).sum(),
            message);
        double travelled =
            (factor.withinDevice() + factor.withinNode() + factor.betweenNodes())
                / result.layersEach()
                * 3;
        assertEquals(ledger.kept(), travelled, 1e-6 * ledger.kept(), message);
        assertEquals(
            ledger, factor.ledger_S().stream().reduce(new Ledger(0, 0, 0, 0), Ledger::plus));
      }
      assertEquals(0, router.factors().getLast().ledger().dropped());
      double first = router.factors().getFirst().dropRate();
      assertTrue(first >= router.factors().get(1).dropRate(), router.toString());
    }
    assertEquals(2, result.routers().getFirst().slotsPerToken());
  }

  @Test
  void shouldGiveTheSameNumbersWhateverTheThreads() {
    RunConfig config =
        Simulations.config(
            "simulate.drift=0.1",
            "simulate.correlation=0.3",
            "simulate.routers=[softmax-topk, sparsemixer, deepseek-v3]");
    String one = SimulationJson.of(Simulations.run(1, config));
    assertEquals(one, SimulationJson.of(Simulations.run(3, config)));
    assertEquals(one, SimulationJson.of(Simulations.run(8, config)));
    assertNotEquals(one, SimulationJson.of(Simulations.run(1, Simulations.config("seed=1"))));
  }

  @ParameterizedTest
  @CsvSource({
    "0, 65536, 8, 8",
    "0, 131072, 64, 8",
    "0, 500000, 1024, 2",
    "0, 1000000, 1024, 1",
    "0, 131072, 65536, 1",
    "5, 1000000, 1024, 5"
  })
  void shouldDrawFewerOfLargeStepsUnlessAsked(int asked, int tokens, int experts, int drawn) {
    RunConfig config =
        Simulations.config(
            "simulate.steps=" + asked, "simulate.tokens=" + tokens, "experts.count=" + experts);
    assertEquals(drawn, DrawnTokens.steps(config));
  }

  @ParameterizedTest
  @ValueSource(doubles = {0, 0.5, 1, 1.5})
  void shouldSpreadTokensByZipfsLaw(double zipf) {
    RunConfig config =
        Simulations.config(
            "simulate.zipf=" + zipf,
            "simulate.tokens=60000",
            "simulate.group=3000",
            "simulate.steps=1",
            "experts.count=32",
            "gate.type=switch",
            "gate.top_k=1",
            "gate.jitter=0",
            "simulate.factors=[0]");
    long[] routed_E = Simulations.run(2, config).routers().getFirst().routed_SLE().getFirst()[0];
    Popularity popularity = new Popularity(config.seed(), 32, zipf, 0);
    // Slope of ln(rows) over ln(rank), each rank weighted by its rows.
    double w = 0;
    double wx = 0;
    double wy = 0;
    double wxx = 0;
    double wxy = 0;
    for (int e = 0; e < routed_E.length; e++) {
      double x = Math.log(popularity.rank(e) + 1);
      double y = Math.log(routed_E[e]);
      w += routed_E[e];
      wx += routed_E[e] * x;
      wy += routed_E[e] * y;
      wxx += routed_E[e] * x * x;
      wxy += routed_E[e] * x * y;
    }
    double exponent = -(w * wxy - wx * wy) / (w * wxx - wx * wx);
    // 60 000 draws: a standard error below 0.006 in all four.
    assertEquals(zipf, exponent, 0.02);
  }

  @Test
  void shouldChangeWhoIsHotWhenPopularityDrifts() {
    int still = hottestChanges("simulate.drift=0");
    int drifting = hottestChanges("simulate.drift=0.5");
    assertEquals(0, still);
    assertTrue(drifting >= 3, "hottest expert changed " + drifting + " times");
  }

  private static int hottestChanges(String drift) {
    SimulationResult result =
        Simulations.run(drift, "simulate.zipf=1.5", "simulate.steps=12", "simulate.tokens=1000");
    List<Integer> hottest =
        result.routers().getFirst().routed_SLE().stream()
            .map(routed_LE -> hottest(routed_LE[0]))
            .toList();
    int changes = 0;
    for (int step = 1; step < hottest.size(); step++) {
      changes += hottest.get(step).equals(hottest.get(step - 1)) ? 0 : 1;
    }
    return changes;
  }

  private static int hottest(long[] routed_E) {
    int hottest = 0;
    for (int e = 1; e < routed_E.length; e++) {
      hottest = routed_E[e] > routed_E[hottest] ? e : hottest;
    }
    return hottest;
  }

  @Test
  void shouldDropMoreWhenTheTokensOfAPassageAgree() {
    String[] even = {"simulate.zipf=0", "simulate.passage=64", "simulate.factors=[1.25]"};
    double apart = Simulations.run(even).routers().getFirst().factors().getFirst().dropRate();
    double together =
        Simulations.run(even[0], even[1], even[2], "simulate.correlation=0.5")
            .routers()
            .getFirst()
            .factors()
            .getFirst()
            .dropRate();
    assertTrue(together > 2 * apart, apart + " and " + together);
  }

  @Test
  void shouldSwapAsManyExpertsAsDriftSays() {
    Popularity popularity = new Popularity(3, 1000, 1, 0.1);
    int[] before = new int[1000];
    Arrays.setAll(before, popularity::rank);
    popularity.advance(1);
    int moved = 0;
    boolean[] seen = new boolean[1000];
    for (int e = 0; e < 1000; e++) {
      moved += popularity.rank(e) == before[e] ? 0 : 1;
      seen[popularity.rank(e)] = true;
    }
    assertTrue(moved > 80 && moved <= 100, "moved " + moved);
    for (boolean rank : seen) {
      assertTrue(rank, "a rank is missing");
    }
  }

  @Test
  void shouldCutTheTokensOfARankIntoEqualGroups() {
    assertEquals(256, DrawnTokens.groupSize(Simulations.config(), 8));
    RunConfig config = Simulations.config("simulate.group=0", "simulate.tokens=40000");
    assertEquals(5000, DrawnTokens.groupSize(config, 8));
    assertEquals(13334, DrawnTokens.groupSize(config, 1));
    assertEquals(1, DrawnTokens.groupSize(config, 100_000));
  }

  @Test
  void shouldTellHowFarItIs() {
    RunConfig config = Simulations.config();
    AtomicLong most = new AtomicLong();
    Simulation.run(
        config,
        Speeds.of(config),
        2,
        (tokens, of) -> {
          assertEquals(9000, of);
          most.accumulateAndGet(tokens, Math::max);
        });
    assertEquals(9000, most.get());
  }

  @Test
  void shouldSayWhichHeapIsNeededWhenAGroupIsTooLarge() {
    RunConfig config =
        Simulations.config(
            "experts.count=65536", "simulate.tokens=100000", "simulate.group=100000");
    UserException tooLarge = assertThrows(UserException.class, () -> Simulations.run(1, config));
    assertTrue(tooLarge.hint().contains("TROUPE_HEAP="), tooLarge.hint());
  }

  @Test
  void shouldSumUpLoads() {
    LoadSummary load =
        LoadSummary.of(List.of(new long[][] {{0, 4, 8, 4}}, new long[][] {{0, 0, 4, 12}}));
    assertEquals(2.5, load.imbalance());
    assertEquals(3, load.worst());
    assertEquals(1.5, load.dead());
    assertEquals(1, load.neverChosen());
    assertArrayEquals(
        new double[] {0, 0, 0, 0, 1, 1, 2, 3, 3},
        load.quantiles(),
        Arrays.toString(load.quantiles()));
  }
}
