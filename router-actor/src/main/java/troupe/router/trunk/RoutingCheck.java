package troupe.router.trunk;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import troupe.core.config.ConfigLoader;
import troupe.core.config.RunConfig;
import troupe.core.tensor.Device;
import troupe.core.tensor.Tensor;
import troupe.core.tensor.check.Expected;
import troupe.core.tensor.check.KernelCheck;
import troupe.router.gate.CounterDraws;
import troupe.router.gate.Draws;
import troupe.router.gate.Feedback;
import troupe.router.gate.Gate;
import troupe.router.gate.Gates;

/**
 * Compares gates on a device with those on the host: the same draws have to lead to the same
 * decisions, and to the same rows and gradients up to rounding.
 */
public final class RoutingCheck {
  private static final int TOKENS = 301;
  private static final int EXPERTS = 5;
  private static final int CHANNELS = 40;
  private static final int VOCABULARY = 70;
  private static final int SPAN = 43;
  private static final double EXACT = 1e-5;
  private static final double ROUNDED = 1e-2;

  /** Every gate, mask, jitter and way to drop, each at least once. */
  private static final List<List<String>> CASES =
      List.of(
          List.of("gate.type=sparsemixer", "gate.z_coefficient=0.001"),
          List.of("gate.type=sparsemixer", "gate.mask=paper", "experts.capacity_factor=1.0"),
          List.of("gate.type=sparsemixer-1st", "gate.mask=none", "gate.omega=false"),
          List.of(
              "gate.type=sparsemixer-2nd",
              "gate.mask=none",
              "experts.capacity_factor=0.8",
              "experts.drop=position"),
          List.of("gate.type=sparsemixer-inf", "gate.mask=none"),
          List.of("gate.type=sparsemixer-ode", "gate.ode.rule=simpson", "gate.mask=none"),
          List.of("gate.type=sparsemixer", "gate.jitter=0.5", "experts.count=150"),
          List.of("gate.type=sparsemixer-v2", "gate.top_k=2", "gate.z_coefficient=0.001"),
          List.of(
              "gate.type=sparsemixer-v2",
              "gate.top_k=3",
              "gate.mask=paper",
              "gate.jitter=0.5",
              "gate.ode.rule=gauss-3",
              "gate.ode.full_best=false",
              "experts.capacity_factor=0.9"),
          List.of("gate.type=sparsemixer-v2", "gate.mask=none", "gate.omega=false"),
          List.of(
              "gate.type=sparsemixer-v2",
              "gate.top_k=4",
              "gate.mask=none",
              "experts.count=150",
              "experts.capacity_factor=1.0",
              "experts.drop=position"),
          List.of("gate.type=softmax-topk", "gate.top_k=2", "gate.z_coefficient=0.001"),
          List.of(
              "gate.type=softmax-topk",
              "gate.top_k=5",
              "experts.capacity_factor=0.8",
              "experts.drop=position"),
          List.of(
              "gate.type=softmax-topk",
              "gate.top_k=6",
              "experts.count=150",
              "experts.capacity_factor=1.0"),
          List.of("gate.type=xmoe", "gate.top_k=2"),
          List.of("gate.type=deepseek-v3", "gate.top_k=2", "gate.z_coefficient=0.001"),
          List.of(
              "gate.type=deepseek-v3",
              "gate.top_k=3",
              "gate.deepseek.scale=2.5",
              "gate.deepseek.groups=5",
              "gate.deepseek.top_groups=3",
              "experts.capacity_factor=0.8",
              "experts.drop=position"),
          List.of(
              "gate.type=deepseek-v3",
              "gate.top_k=8",
              "gate.deepseek.groups=10",
              "gate.deepseek.top_groups=4",
              "experts.count=150",
              "experts.capacity_factor=1.0"),
          List.of(
              "gate.type=deepseek-v3",
              "gate.top_k=32",
              "gate.deepseek.scale=1.3",
              "gate.deepseek.groups=64",
              "gate.deepseek.top_groups=40",
              "experts.count=1024"),
          List.of(
              "gate.type=deepseek-v3",
              "gate.top_k=3",
              "gate.deepseek.score=softmax",
              "gate.deepseek.scale=2.5"),
          List.of(
              "gate.type=deepseek-v3",
              "gate.top_k=4",
              "gate.deepseek.score=softmax",
              "gate.deepseek.groups=75",
              "gate.deepseek.top_groups=20",
              "experts.count=150",
              "experts.capacity_factor=0.9"),
          List.of("gate.type=gshard", "gate.gshard.second=best", "gate.z_coefficient=0.001"),
          List.of(
              "gate.type=gshard",
              "gate.gshard.second=sampled",
              "gate.gshard.normalise=after-drop",
              "experts.capacity_factor=0.8"),
          List.of(
              "gate.type=gshard",
              "gate.gshard.second=random",
              "gate.gshard.normalise=after-drop",
              "experts.count=150",
              "experts.capacity_factor=1.0",
              "experts.drop=position"),
          List.of(
              "gate.type=gshard",
              "gate.gshard.second=random",
              "gate.gshard.normalise=before-drop",
              "experts.capacity_factor=0.7"),
          List.of(
              "gate.type=gshard",
              "gate.gshard.second=threshold",
              "gate.gshard.normalise=before-drop",
              "experts.count=150"),
          List.of("gate.type=gshard", "gate.gshard.second=sampled", "experts.count=2"),
          List.of("gate.type=reinforce", "gate.mask=none", "gate.z_coefficient=0.001"),
          List.of(
              "gate.type=reinforce",
              "gate.reinforce.gated=true",
              "gate.reinforce.baseline=ema",
              "gate.jitter=0.5",
              "experts.count=150",
              "experts.capacity_factor=1.0"),
          List.of(
              "gate.type=reinforce",
              "gate.reinforce.baseline=ema",
              "gate.reinforce.value=2",
              "gate.mask=paper"),
          List.of("gate.type=hash", "gate.z_coefficient=0.001"),
          List.of("gate.type=hash", "experts.count=150", "experts.capacity_factor=1.0"),
          List.of("gate.type=balanced", "gate.top_k=2", "gate.balance_coefficient=0"),
          List.of("gate.type=switch", "gate.z_coefficient=0.001"),
          List.of("gate.type=switch", "gate.jitter_on=input", "experts.capacity_factor=1.25"));

  private final Expected<Case, Results> expected =
      Expected.begin(
          CASES.stream().flatMap(RoutingCheck::both).toList(),
          (host, one) -> run(new HostRouter(host, one.config), host, one));

  private RoutingCheck() {}

  /** Has the host begin with every case. */
  public static RoutingCheck begin() {
    return new RoutingCheck();
  }

  /**
   * Runs every case on a device that routes; does nothing on another. Several may be checked at the
   * same time.
   *
   * @return how many there were
   * @throws KernelCheck.WrongKernelException naming the case and what differs
   */
  public int all(Device device) {
    if (device.routing() == null) {
      return 0;
    }
    return expected.compare(
        one -> run(new DeviceRouter(device, one.config), device, one),
        (one, host, found) -> compare(one.name, host, found));
  }

  private record Case(String name, RunConfig config, boolean training) {}

  private static Stream<Case> both(List<String> overrides) {
    List<String> keys = new ArrayList<>(List.of("experts.count=" + EXPERTS));
    keys.addAll(overrides);
    RunConfig config = ConfigLoader.parse("", keys);
    return Stream.of(
        new Case(overrides.toString(), config, true),
        new Case(overrides + " in evaluation", config, false));
  }

  /** What a routing came to. */
  private record Results(
      int[] offset_E1,
      LayerStats stats,
      double[] sent_RD,
      double[] x_TD,
      double[] dY_RD,
      double[] dOmega_D,
      double[] dLogits_TE,
      double[] dState,
      double[] dH_TD) {}

  private static Results run(TokenRouter router, Device device, Case one) {
    RunConfig config = one.config;
    boolean training = one.training;
    SplittableRandom random = new SplittableRandom(20231018);
    Draws draws = training ? new CounterDraws(7, 11, 3, 1L << 33) : null;
    boolean omega = config.gate().omega();
    int experts = config.experts().count();
    // Rows that are whole vectors, and rows that are not.
    int d = config.gate().topK() % 2 == 0 ? CHANNELS : CHANNELS - 3;
    double[] load_E = random.doubles(experts, 0, 2.0 / experts).toArray();
    Gate gate = Gates.of(config.gate());
    boolean hashes = gate.hashes();
    boolean keeps = gate.state() != null;
    boolean changes = keeps && training;
    int states = hashes ? VOCABULARY : keeps ? gate.state().size(experts) : 0;
    double[] loss_T = random.doubles(TOKENS, 0, 4).toArray();
    Feedback.Losses losses =
        training && gate.needsLosses() ? Feedback.Losses.of(loss_T, SPAN, 2 * TOKENS) : null;
    int[] ids_T = random.ints(TOKENS, 0, VOCABULARY).toArray();
    try (Tensor h_TD = normal(device, random, TOKENS, d);
        Tensor mid_TD = normal(device, random, TOKENS, d);
        Tensor dX_TD = normal(device, random, TOKENS, d);
        Tensor omega_1D = omega ? exact(device, random, 1, d) : null;
        Tensor dOmega_1D = omega ? device.zeros(1, d) : null;
        Tensor state = states > 0 ? state(device, random, states, hashes ? experts : 0) : null;
        Tensor dState = changes ? device.zeros(1, states) : null;
        Tensor dLogits_TE = device.allocate(TOKENS, experts);
        Tensor dH_TD = device.allocateActivations(TOKENS, d);
        Tensor x_TD = device.allocateActivations(TOKENS, d);
        TokenRouter.Jittered jittered = training ? router.jitter(h_TD, draws) : null;
        RoutedTokens routed =
            router.route(logits(device, random, experts), ids_T, state, draws, training)) {
      int[] offset_E1 = routed.offset_E1();
      try (Tensor sent_RD = device.allocateActivations(routed.mostRows(), d);
          Tensor dY_RD = device.allocateActivations(routed.mostRows(), d);
          Tensor y_RD = normal(device, random, offset_E1[experts], d)) {
        Tensor[] y_E = new Tensor[experts];
        for (int e = 0; e < experts; e++) {
          y_E[e] = y_RD.rows(offset_E1[e], offset_E1[e + 1] - offset_E1[e]);
        }
        routed.dispatch(sent_RD, jittered == null ? h_TD : jittered.input_TD());
        routed.combine(x_TD, mid_TD, y_E, omega_1D);
        routed.combineBackward(dY_RD, dOmega_1D, dX_TD, y_E, omega_1D);
        routed.logitsGradient(dLogits_TE, dState, losses, load_E, 2 * TOKENS);
        device.kernels().copy(dH_TD, h_TD);
        routed.dispatchBackward(dH_TD, y_E);
        return new Results(
            offset_E1,
            routed.stats(),
            sent_RD.rows(0, offset_E1[experts]).toDoubles(),
            x_TD.toDoubles(),
            dY_RD.rows(0, offset_E1[experts]).toDoubles(),
            omega ? dOmega_1D.toDoubles() : new double[0],
            dLogits_TE.toDoubles(),
            changes ? dState.toDoubles() : new double[0],
            dH_TD.toDoubles());
      }
    }
  }

  /** What a gate keeps: a table of so many experts, or, of none, a bias. */
  private static Tensor state(Device device, SplittableRandom random, int size, int experts) {
    Tensor state = device.allocate(1, size);
    if (experts > 0) {
      state.set(random.ints(size, 0, experts).asDoubleStream().toArray());
    } else {
      state.set(coarse(normals(random, size, -1)));
    }
    return state;
  }

  /** Every other token is undecided between some experts. */
  private static Tensor logits(Device device, SplittableRandom random, int experts) {
    float[] logits = normals(random, TOKENS * experts, -1);
    for (int t = 0; t < TOKENS; t += 2) {
      float[] tied = coarse(Arrays.copyOfRange(logits, t * experts, (t + 1) * experts));
      System.arraycopy(tied, 0, logits, t * experts, experts);
    }
    Tensor tensor = device.allocate(TOKENS, experts);
    tensor.set(logits);
    return tensor;
  }

  /** Quarters, so that there are equal ones. */
  private static float[] coarse(float[] values) {
    for (int i = 0; i < values.length; i++) {
      values[i] = Math.round(4 * values[i]) / 4f;
    }
    return values;
  }

  /** Activations of few bits, so that all devices start from the same numbers. */
  private static Tensor normal(Device device, SplittableRandom random, int rows, int d) {
    Tensor tensor = device.allocateActivations(rows, d);
    tensor.set(normals(random, rows * d, 0xFFFF0000));
    return tensor;
  }

  private static Tensor exact(Device device, SplittableRandom random, int rows, int columns) {
    Tensor tensor = device.allocate(rows, columns);
    tensor.set(normals(random, rows * columns, -1));
    return tensor;
  }

  private static float[] normals(SplittableRandom random, int count, int bits) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] =
          Float.intBitsToFloat(Float.floatToRawIntBits((float) random.nextGaussian()) & bits);
    }
    return values;
  }

  private static void compare(String what, Results expected, Results found) {
    equal(what, "rows of experts", expected.offset_E1(), found.offset_E1());
    equal(what, "routed", expected.stats().routed_E(), found.stats().routed_E());
    equal(what, "first choices", expected.stats().first_E(), found.stats().first_E());
    equal(
        what,
        "alive and dropped",
        new long[] {expected.stats().alive(), expected.stats().dropped()},
        new long[] {found.stats().alive(), found.stats().dropped()});
    KernelCheck.close(what + " sum of p", expected.stats().sumP_E(), found.stats().sumP_E(), EXACT);
    KernelCheck.close(
        what + " sum of squared log-sum-exp",
        new double[] {expected.stats().sumZ()},
        new double[] {found.stats().sumZ()},
        EXACT);
    KernelCheck.close(what + " dispatch", expected.sent_RD(), found.sent_RD(), ROUNDED);
    KernelCheck.close(what + " combine", expected.x_TD(), found.x_TD(), ROUNDED);
    KernelCheck.close(what + " combineBackward", expected.dY_RD(), found.dY_RD(), ROUNDED);
    KernelCheck.close(what + " dOmega", expected.dOmega_D(), found.dOmega_D(), EXACT);
    KernelCheck.close(what + " dLogits", expected.dLogits_TE(), found.dLogits_TE(), EXACT);
    KernelCheck.close(what + " dState", expected.dState(), found.dState(), EXACT);
    KernelCheck.close(what + " dispatchBackward", expected.dH_TD(), found.dH_TD(), ROUNDED);
  }

  private static void equal(String what, String name, int[] expected, int[] found) {
    equal(
        what,
        name,
        Arrays.stream(expected).asLongStream().toArray(),
        Arrays.stream(found).asLongStream().toArray());
  }

  private static void equal(String what, String name, long[] expected, long[] found) {
    if (!Arrays.equals(expected, found)) {
      throw new KernelCheck.WrongKernelException(
          "gate %s: %s: %s (expected: %s)"
              .formatted(what, name, Arrays.toString(found), Arrays.toString(expected)));
    }
  }
}
