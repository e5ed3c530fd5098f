package troupe.router.gate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import troupe.Golden;

/** The auction against the authors' numbers, and against its rules without candidates. */
class AuctionTest {
  static Stream<Golden> auctions() {
    return Golden.cases("other_gates").filter(c -> c.text("gate").equals("base_auction"));
  }

  private static int[] assign(double[] score_TE, int tokens, int experts) {
    return new Auction(score_TE, IntStream.range(0, tokens).toArray(), experts).assign();
  }

  @ParameterizedTest
  @MethodSource("auctions")
  void shouldAssignAsTheAuthorsCodeDoes(Golden golden) {
    int experts = golden.integer("num_experts");
    double[] score_TE = golden.doubles("scores");
    int[] expert_T = assign(score_TE, golden.integer("num_tokens"), experts);
    assertArrayEquals(golden.ints("expert_of_token"), expert_T);
    double value = 0;
    for (int t = 0; t < expert_T.length; t++) {
      value += score_TE[t * experts + expert_T[t]];
    }
    // The authors add in float32.
    assertEquals(golden.number("value"), value, 1e-5);
  }

  @ParameterizedTest
  @CsvSource({
    "2, 2, 1",
    "6, 3, 2",
    "64, 64, 3",
    "512, 8, 4",
    "300, 100, 5",
    "1024, 128, 6",
    "700, 7, 7",
    "2048, 32, 8"
  })
  void shouldBidAsIfItLookedAtEverything(int tokens, int experts, long seed) {
    Random random = new Random(seed);
    double[] popularity_E = random.doubles(experts, -2, 2).toArray();
    double[] score_TE = new double[tokens * experts];
    for (int i = 0; i < score_TE.length; i++) {
      score_TE[i] = random.nextGaussian() + popularity_E[i % experts];
    }
    assertArrayEquals(
        lookingAtEverything(score_TE, tokens, experts),
        assign(score_TE, tokens, experts),
        "seed " + seed);
  }

  @ParameterizedTest
  @CsvSource({"0, 4", "8, 8", "120, 3", "640, 160"})
  void shouldShareOutEvenlyWhenAllScoresTie(int tokens, int experts) {
    for (boolean differ : new boolean[] {false, true}) {
      double[] score_TE = new double[tokens * experts];
      Arrays.setAll(score_TE, i -> differ ? i % experts : 0);
      int[] count_E = new int[experts];
      for (int e : assign(score_TE, tokens, experts)) {
        count_E[e]++;
      }
      int[] even_E = new int[experts];
      Arrays.fill(even_E, tokens / experts);
      assertArrayEquals(even_E, count_E);
    }
  }

  /** The rules of the specification word for word, one round after the other. */
  private static int[] lookingAtEverything(double[] score_TE, int tokens, int experts) {
    int k = tokens / experts;
    double max = Arrays.stream(score_TE).max().getAsDouble();
    double min = Arrays.stream(score_TE).min().getAsDouble();
    double epsilon = Math.max((max - min) / 50, 1e-4);
    double[] price_T = new double[tokens];
    int[] winner_T = new int[tokens];
    Arrays.fill(winner_T, -1);
    for (int round = 0; ; round++) {
      double[] high_T = new double[tokens];
      int[] bidder_T = new int[tokens];
      Arrays.fill(bidder_T, -1);
      for (int w = 0; w < experts; w++) {
        double[] worth = new double[tokens];
        double[] bid = new double[tokens];
        for (int t = 0; t < tokens; t++) {
          double score = score_TE[t * experts + w];
          boolean held = winner_T[t] == w;
          worth[t] = !held ? score - price_T[t] : round <= 100 ? max : score;
        }
        int[] order = IndexSort.ascending(Arrays.stream(worth).map(v -> -v).toArray());
        for (int i = 0; i < k; i++) {
          bid[order[i]] = worth[order[i]] - worth[order[k]] + epsilon;
        }
        for (int t = 0; t < tokens; t++) {
          if (winner_T[t] == w && round < 100) {
            bid[t] = epsilon;
          }
          if (bid[t] > high_T[t]) {
            high_T[t] = bid[t];
            bidder_T[t] = w;
          }
        }
      }
      winner_T = bidder_T;
      if (Arrays.stream(winner_T).allMatch(w -> w >= 0)) {
        return winner_T;
      }
      for (int t = 0; t < tokens; t++) {
        price_T[t] += high_T[t];
      }
    }
  }
}
