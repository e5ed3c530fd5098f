package troupe.router.gate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import troupe.core.config.ConfigLoader;
import troupe.core.config.GateType;
import troupe.core.config.Keys;
import troupe.core.config.RunConfig;

/** One choice under several capacities is what the gate does under each of them. */
class CapacitySweepTest {
  private static final int TOKENS = 48;
  private static final int EXPERTS = 6;
  private static final List<Double> FACTORS = List.of(0.0, 0.5, 1.0, 1.5);

  @ParameterizedTest
  @EnumSource(GateType.class)
  void shouldPlaceAsTheGateDoesWhenCapacityChanges(GateType type) {
    for (String overflow : List.of("drop", "next")) {
      for (String drop : List.of("shuffled", "position", "probability")) {
        check(type, overflow, drop);
      }
    }
  }

  private static void check(GateType type, String overflow, String drop) {
    RunConfig config =
        ConfigLoader.parse(
            "",
            List.of(
                "experts.count=" + EXPERTS,
                "gate.allow_leak=true",
                "gate.top_k=" + (type.hasTopK() ? 2 : 1),
                "gate.type=" + Keys.name(type),
                "experts.min_capacity=0",
                "experts.overflow=" + overflow,
                "experts.drop=" + drop));
    CapacitySweep sweep = new CapacitySweep(config.gate());
    Gate gate = sweep.gate();
    // These send every token to every expert and know no limit.
    boolean takesAll =
        switch (type) {
          case DENSE, STRAIGHT_THROUGH, ST_GUMBEL, REINMAX -> true;
          default -> false;
        };
    List<Double> factors = takesAll ? List.of(0.0) : FACTORS;
    Capacity capacity = Capacity.of(config.experts());
    GateInput input = input(gate, 11).with(capacity);
    List<Routing> routings = sweep.route(input, factors);
    for (int i = 0; i < factors.size(); i++) {
      Routing alone = gate.route(input.with(capacity.withFactor(factors.get(i))));
      Routing swept = routings.get(i);
      String message = type + " " + factors.get(i);
      assertEquals(Ledger.of(alone), Ledger.of(swept), message);
      assertArrayEquals(alone.wanted_S(), swept.wanted_S(), message);
      for (int slot = 0; slot < alone.slots(); slot++) {
        assertEquals(alone.isPlaced(slot), swept.isPlaced(slot), message);
        if (alone.isPlaced(slot)) {
          assertEquals(alone.expert_S()[slot], swept.expert_S()[slot], message);
        }
      }
    }
  }

  private static GateInput input(Gate gate, long seed) {
    Random random = new Random(seed);
    double[] logits_TE = random.doubles((long) TOKENS * EXPERTS, -1, 1).toArray();
    for (int t = 0; t < TOKENS; t++) {
      logits_TE[t * EXPERTS] += 0.8;
    }
    int[] ids_T = IntStream.range(0, TOKENS).map(t -> random.nextInt(16)).toArray();
    double[] state = new double[gate.state() == null ? 0 : gate.state().size(EXPERTS)];
    if (gate.state() != null) {
      Arrays.fill(state, gate.state().initial());
    }
    if (gate.hashes()) {
      state = IntStream.range(0, 16).mapToDouble(id -> id % 4 % EXPERTS).toArray();
    }
    return new GateInput(
        logits_TE,
        TOKENS,
        EXPERTS,
        ids_T,
        state,
        Capacity.DROPLESS,
        new CounterDraws(seed, 3, 1, 0),
        true);
  }
}
