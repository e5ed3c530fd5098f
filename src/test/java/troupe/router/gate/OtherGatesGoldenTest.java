package troupe.router.gate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static troupe.router.gate.GoldenTolerance.assertGolden;

import java.util.Arrays;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import troupe.Closeness;
import troupe.Golden;
import troupe.core.config.GateConfig;
import troupe.core.config.GateConfig.Deepseek;
import troupe.core.config.GateConfig.Gshard;
import troupe.core.config.GateConfig.Normalise;
import troupe.core.config.GateConfig.SecondExpert;
import troupe.core.config.RunConfig.DropOrder;
import troupe.core.config.RunConfig.Overflow;
import troupe.core.config.RunConfig.Rounding;

/** The gates of torchscale and DeepSeek-V3, with the draws that their code made. */
@Tag("golden")
class OtherGatesGoldenTest {
  /** The softmax of the released DeepSeek gate is float32. */
  private static final double FLOAT_TOLERANCE = 1e-6;

  static Stream<Golden> torchscale() {
    return Golden.cases("other_gates").filter(g -> g.text("gate").startsWith("torchscale"));
  }

  static Stream<Golden> deepseek() {
    return Golden.cases("other_gates").filter(g -> g.text("gate").equals("deepseek_v3"));
  }

  /** What torchscale drew: Gumbel noise on logits, or a number for each second expert. */
  private record Drawn(int experts, double[] gumbel_TE, double[] second_T) implements Draws {
    @Override
    public double exponential(int token, int expert, int round) {
      return Math.exp(-gumbel_TE[token * experts + expert]);
    }

    @Override
    public double coin(int token, int round) {
      return second_T[token];
    }

    @Override
    public double scale(int token, int round) {
      throw new AssertionError("scale");
    }

    @Override
    public double noise(int token, int expert) {
      throw new AssertionError("noise");
    }

    @Override
    public double inputNoise(int token, int channel) {
      throw new AssertionError("inputNoise");
    }

    @Override
    public double priority(int token) {
      throw new AssertionError("priority");
    }
  }

  private static Gate torchscaleGate(Golden golden) {
    if (golden.text("gate").equals("torchscale_top1")) {
      return new SwitchGate(Jitter.NONE);
    }
    SecondExpert second =
        switch (golden.text("policy")) {
          case "all" -> SecondExpert.BEST;
          case "sampling" -> SecondExpert.SAMPLED;
          case "random" -> SecondExpert.RANDOM;
          default -> throw new AssertionError(golden.text("policy"));
        };
    return new GshardGate(new Gshard(second, Normalise.AFTER_DROP));
  }

  private static int slotsPerToken(Golden golden) {
    return golden.text("gate").equals("torchscale_top1") ? 1 : 2;
  }

  private static Routing torchscaleRouting(Golden golden) {
    int tokens = golden.integer("num_tokens");
    int experts = golden.integer("num_experts");
    int rows = golden.integer("capacity");
    int k = slotsPerToken(golden);
    double factor = (double) rows / (k * Math.ceilDiv(tokens, experts));
    if (golden.has("capacity_factor") && !golden.flag("eval_mode")) {
      factor = golden.number("capacity_factor");
    }
    Capacity capacity =
        new Capacity(factor, 0, Rounding.TORCHSCALE, DropOrder.POSITION, Overflow.DROP, 0);
    assertEquals(rows, capacity.rows(tokens, experts, k), golden + " capacity");
    Draws draws =
        new Drawn(
            experts,
            golden.has("gumbel") ? golden.doubles("gumbel") : null,
            golden.has("rand_second") ? golden.doubles("rand_second") : null);
    boolean training = !golden.flag("eval_mode");
    return torchscaleGate(golden)
        .route(
            GateInput.of(golden.doubles("logits"), tokens, experts, draws, training)
                .with(capacity));
  }

  /** Where torchscale puts each slot: first choices in order, second ones after all of them. */
  private static int[] locations(Routing routing) {
    int[] firsts_E = Load.firstChoices(routing);
    int[] nextFirst_E = new int[firsts_E.length];
    int[] nextSecond_E = firsts_E.clone();
    int[] location_S = new int[routing.slots()];
    for (int t = 0; t < routing.tokens(); t++) {
      int first = routing.firstSlot_T1()[t];
      location_S[first] = nextFirst_E[routing.wanted_S()[first]]++;
      if (routing.firstSlot_T1()[t + 1] > first + 1) {
        location_S[first + 1] = nextSecond_E[routing.wanted_S()[first + 1]]++;
      }
    }
    return location_S;
  }

  private static int[] placedByExpert(Routing routing, int token) {
    return IntStream.range(routing.firstSlot_T1()[token], routing.firstSlot_T1()[token + 1])
        .filter(routing::isPlaced)
        .boxed()
        .sorted((a, b) -> routing.expert_S()[a] - routing.expert_S()[b])
        .mapToInt(Integer::intValue)
        .toArray();
  }

  @ParameterizedTest
  @MethodSource("torchscale")
  void shouldCombineAsTorchscale(Golden golden) {
    Routing routing = torchscaleRouting(golden);
    double[] expected = golden.doubles("combine");
    int[] location_S = locations(routing);
    int next = 0;
    for (int t = 0; t < routing.tokens(); t++) {
      for (int slot : placedByExpert(routing, t)) {
        String what = golden + " token " + t;
        assertEquals(expected[next], routing.expert_S()[slot], what);
        assertEquals(expected[next + 1], location_S[slot], what);
        Closeness.assertClose(
            what,
            expected[next + 2],
            routing.multiplier_S()[slot],
            GoldenTolerance.RELATIVE,
            GoldenTolerance.FLOOR);
        next += 3;
      }
    }
    assertEquals(expected.length, next);
    Ledger.of(routing);
  }

  @ParameterizedTest
  @MethodSource("torchscale")
  void shouldGiveGradientsOfTorchscale(Golden golden) {
    Routing routing = torchscaleRouting(golden);
    double[] upstream = golden.doubles("grad_combine_at_assign");
    double[] s_S = new double[routing.slots()];
    int next = 0;
    for (int t = 0; t < routing.tokens(); t++) {
      for (int slot : placedByExpert(routing, t)) {
        s_S[slot] = upstream[next++];
      }
    }
    double[] dLogits_TE = new double[routing.logits_TE().length];
    routing.backward(dLogits_TE, s_S);
    assertGolden(golden, "grad_logits", dLogits_TE);
  }

  @ParameterizedTest
  @MethodSource("torchscale")
  void shouldBalanceFirstChoicesAsTorchscale(Golden golden) {
    Routing routing = torchscaleRouting(golden);
    int tokens = routing.tokens();
    long[] first_E = Arrays.stream(Load.firstChoices(routing)).asLongStream().toArray();
    double[] f_E = BalanceLoss.fraction(first_E, tokens, 0);
    double[] dLogits_TE = new double[routing.logits_TE().length];
    BalanceLoss.addGradient(dLogits_TE, routing, f_E, 1, tokens);
    assertGolden(golden, "l_aux", BalanceLoss.value(f_E, Load.sumP(routing), tokens));
    assertGolden(golden, "grad_logits_aux", dLogits_TE);
  }

  private static DeepseekGate deepseekGate(Golden golden) {
    GateConfig.Score score =
        golden.text("score_func").equals("sigmoid")
            ? GateConfig.Score.SIGMOID
            : GateConfig.Score.SOFTMAX;
    double gamma = golden.has("gamma") ? golden.number("gamma") : 0;
    return new DeepseekGate(
        new Deepseek(
            score,
            golden.integer("n_groups"),
            golden.integer("topk_groups"),
            golden.number("route_scale"),
            gamma),
        golden.integer("top_k"));
  }

  private static Routing deepseekRouting(Golden golden) {
    double[] bias =
        golden.has("bias") ? golden.doubles("bias") : new double[golden.integer("num_experts")];
    return deepseekGate(golden)
        .route(
            GateInput.of(
                    golden.doubles("logits"),
                    golden.integer("num_tokens"),
                    golden.integer("num_experts"),
                    null,
                    false)
                .with(bias));
  }

  @ParameterizedTest
  @MethodSource("deepseek")
  void shouldWeighAsDeepseek(Golden golden) {
    boolean isFloat = golden.text("score_func").equals("softmax");
    double relative = isFloat ? FLOAT_TOLERANCE : GoldenTolerance.RELATIVE;
    double floor = isFloat ? FLOAT_TOLERANCE : GoldenTolerance.FLOOR;
    Routing routing = deepseekRouting(golden);
    int k = golden.integer("top_k");
    int[] indices = golden.ints("indices");
    double[] weights = golden.doubles("weights");
    double[] gradients = golden.doubles("grad_weights");
    double[] s_S = new double[routing.slots()];
    for (int t = 0; t < routing.tokens(); t++) {
      int[] sortedHere = Arrays.copyOfRange(routing.expert_S(), t * k, (t + 1) * k);
      int[] sortedThere = Arrays.copyOfRange(indices, t * k, (t + 1) * k);
      Arrays.sort(sortedHere);
      Arrays.sort(sortedThere);
      assertArrayEquals(sortedThere, sortedHere, golden + " token " + t);
      for (int slot = t * k; slot < (t + 1) * k; slot++) {
        int there = t * k;
        while (indices[there] != routing.expert_S()[slot]) {
          there++;
        }
        s_S[slot] = gradients[there];
        Closeness.assertClose(
            golden + " weight", weights[there], routing.multiplier_S()[slot], relative, floor);
      }
    }
    double[] dLogits_TE = new double[routing.logits_TE().length];
    routing.backward(dLogits_TE, s_S);
    Closeness.assertClose(
        golden + " grad_logits", golden.doubles("grad_logits"), dLogits_TE, relative, floor);
  }

  @ParameterizedTest
  @MethodSource("deepseek")
  void shouldMoveTheBiasAsDeepseek(Golden golden) {
    if (!golden.has("bias")) {
      return;
    }
    Routing routing = deepseekRouting(golden);
    GateState bias = deepseekGate(golden).state();
    long tokens = routing.tokens();
    double[] load_E =
        Arrays.stream(golden.doubles("load")).map(load -> load / (double) tokens).toArray();
    assertArrayEquals(golden.ints("load"), Load.routed(routing), "load");
    double[] state = golden.doubles("bias");
    double[] change = new double[state.length];
    bias.addChange(change, state, routing.tokens(), new Feedback(null, null, load_E, tokens));
    for (int e = 0; e < state.length; e++) {
      state[e] -= bias.rate() * change[e];
    }
    assertGolden(golden, "bias_after_update", state);
  }
}
