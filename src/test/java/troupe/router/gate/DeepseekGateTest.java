package troupe.router.gate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Arrays;
import java.util.Comparator;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import troupe.core.config.GateConfig.Deepseek;
import troupe.core.config.GateConfig.Score;
import troupe.core.math.Sigmoid;

/** Tiles of tokens against the definition, token by token. */
class DeepseekGateTest {
  private static final int TOKENS = 150;

  private static double[] scores(double[] logits_E, Score score) {
    double[] s_E = new double[logits_E.length];
    if (score == Score.SIGMOID) {
      Arrays.setAll(s_E, e -> Sigmoid.of(logits_E[e]));
    } else {
      double max = Arrays.stream(logits_E).max().orElseThrow();
      Rows.softmax(s_E, logits_E, max, 0, s_E.length);
    }
    return s_E;
  }

  private static int[] bestFirst(double[] key, int count) {
    return IntStream.range(0, key.length)
        .boxed()
        .sorted(Comparator.comparingDouble(i -> -key[i]))
        .limit(count)
        .mapToInt(i -> i)
        .toArray();
  }

  private static int[] chosen(double[] s_E, double[] bias_E, Deepseek config, int k) {
    int size = s_E.length / config.groups();
    double[] biased_E = new double[s_E.length];
    Arrays.setAll(biased_E, e -> s_E[e] + bias_E[e]);
    double[] score_G = new double[config.groups()];
    for (int g = 0; g < score_G.length; g++) {
      double[] group = Arrays.copyOfRange(biased_E, g * size, (g + 1) * size);
      score_G[g] = Arrays.stream(bestFirst(group, 2)).mapToDouble(e -> group[e]).sum();
    }
    int[] kept = bestFirst(score_G, config.topGroups());
    for (int e = 0; e < biased_E.length; e++) {
      int group = e / size;
      if (Arrays.stream(kept).noneMatch(g -> g == group)) {
        biased_E[e] = Double.NEGATIVE_INFINITY;
      }
    }
    return bestFirst(biased_E, k);
  }

  @ParameterizedTest
  @CsvSource({
    "1, 1, 1, 1",
    "3, 1, 1, 3",
    "8, 1, 1, 2",
    "8, 4, 2, 3",
    "8, 8, 3, 2",
    "12, 2, 1, 5",
    "20, 4, 4, 6",
    "96, 8, 4, 8",
    "600, 6, 5, 4"
  })
  void shouldChooseByBiasAndGroupAndWeighByScore(int experts, int groups, int topGroups, int k) {
    Random random = new Random(experts);
    double[] bias_E = random.doubles(experts, -0.1, 0.1).toArray();
    for (double width : new double[] {1, 20, 1e4}) {
      for (Score score : Score.values()) {
        double[] logits_TE = new double[TOKENS * experts];
        // Whole numbers among them, for ties.
        Arrays.setAll(
            logits_TE,
            i -> random.nextBoolean() ? random.nextInt(3) : random.nextGaussian() * width);
        Deepseek config = new Deepseek(score, groups, topGroups, 2.5, 0.001);
        GateInput input = GateInput.of(logits_TE, TOKENS, experts, null, true).with(bias_E);
        check(config, k, input);
      }
    }
  }

  private static void check(Deepseek config, int k, GateInput input) {
    Routing routing = new DeepseekGate(config, k).route(input);
    int experts = input.experts();
    boolean sigmoid = config.score() == Score.SIGMOID;
    for (int t = 0; t < TOKENS; t++) {
      int from = t * experts;
      double[] s_E =
          scores(Arrays.copyOfRange(input.logits_TE(), from, from + experts), config.score());
      int[] chosen = chosen(s_E, input.state(), config, k);
      assertArrayEquals(chosen, Arrays.copyOfRange(routing.wanted_S(), t * k, (t + 1) * k));
      double all = Arrays.stream(s_E).sum();
      double sum = Arrays.stream(chosen).mapToDouble(e -> s_E[e]).sum();
      for (int r = 0; r < k; r++) {
        double share = sigmoid ? s_E[chosen[r]] / sum : s_E[chosen[r]];
        assertEquals(2.5 * share, routing.multiplier_S()[t * k + r], 1e-14);
      }
      for (int e = 0; e < experts; e++) {
        assertEquals(sigmoid ? s_E[e] / all : s_E[e], routing.p_TE()[from + e], 1e-14);
      }
    }
    assertArrayEquals(routing.wanted_S(), new DeepseekGate(config, k).wish(input).wanted_S());
  }

  @ParameterizedTest
  @EnumSource
  void shouldRefuseLogitsThatAreNotFinite(Score score) {
    double[] logits_TE = new double[TOKENS * 4];
    logits_TE[90 * 4 + 1] = Double.NEGATIVE_INFINITY;
    Gate gate = new DeepseekGate(new Deepseek(score, 2, 1, 1, 0), 1);
    GateInput input = GateInput.of(logits_TE, TOKENS, 4, null, true);
    assertEquals(90, assertThrows(NonFiniteLogitsException.class, () -> gate.route(input)).token());
  }
}
