package troupe.router.gate;

import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.Random;
import troupe.core.config.GateConfig.Mask;
import troupe.core.config.GateType;

/**
 * Measures gates on the host: processor time per token and expert of forward with its draws and of
 * backward, the least of many times, and that of the draws alone. Time that others take from the
 * core is not in it, what they take from its caches and from the other thread of the core is. Not a
 * test; run its main with {@code @scripts/jvm.options}, the numbers of experts as arguments.
 */
final class GateBench {
  private static final int ELEMENTS = 8 * 65_536;
  private static final String[] EXPERTS = {"8", "64", "256", "1024"};
  private static final GateType[] TYPES = {
    GateType.SWITCH,
    GateType.SPARSEMIXER,
    GateType.SPARSEMIXER_1ST,
    GateType.SPARSEMIXER_2ND,
    GateType.SPARSEMIXER_INF
  };
  private static final int REPEATS = 60;
  private static final double JITTER = 0.1;
  private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

  private GateBench() {}

  /** Prints a line for each number of experts, gate and mask. */
  public static void main(String[] args) {
    for (String number : args.length == 0 ? EXPERTS : args) {
      int experts = Integer.parseInt(number);
      draws(experts);
      gate(GateType.SWITCH, Mask.NONE, 0, experts);
      for (GateType type : TYPES) {
        gate(type, Mask.NONE, JITTER, experts);
      }
      gate(GateType.SPARSEMIXER, Mask.CODE, JITTER, experts);
      gate(GateType.SPARSEMIXER, Mask.PAPER, JITTER, experts);
    }
  }

  private static void draws(int experts) {
    int tokens = 64;
    double[] out = new double[tokens * experts];
    double least = Double.MAX_VALUE;
    for (int i = 0; i < REPEATS; i++) {
      CounterDraws draws = new CounterDraws(1, i, 0, 0);
      long start = THREADS.getCurrentThreadCpuTime();
      for (int t = 0; t < ELEMENTS / experts; t += tokens) {
        draws.exponentials(t, tokens, experts, 0, out, tokens);
      }
      least = Math.min(least, THREADS.getCurrentThreadCpuTime() - start);
    }
    System.out.printf("%4d experts, exponentials: %.2f ns%n", experts, least / ELEMENTS);
  }

  private static void gate(GateType type, Mask mask, double jitter, int experts) {
    int tokens = ELEMENTS / experts;
    Random random = new Random(1);
    double[] logits_TE = random.doubles(ELEMENTS, -2, 2).toArray();
    double[] s_T = random.doubles(tokens, -1, 1).toArray();
    double[] dLogits_TE = new double[ELEMENTS];
    Gate gate = Configs.gate(type, jitter, mask);
    double forward = Double.MAX_VALUE;
    double backward = Double.MAX_VALUE;
    for (int i = 0; i < REPEATS; i++) {
      long start = THREADS.getCurrentThreadCpuTime();
      Routing routing = gate.route(logits_TE, tokens, experts, new CounterDraws(1, i, 0, 0), true);
      long routed = THREADS.getCurrentThreadCpuTime();
      routing.backward(dLogits_TE, s_T);
      long end = THREADS.getCurrentThreadCpuTime();
      forward = Math.min(forward, routed - start);
      backward = Math.min(backward, end - routed);
    }
    System.out.printf(
        "%4d experts, %s, mask %s, jitter %.1f: forward %.2f + backward %.2f = %.2f ns%n",
        experts,
        type,
        mask,
        jitter,
        forward / ELEMENTS,
        backward / ELEMENTS,
        (forward + backward) / ELEMENTS);
  }
}
