package troupe.router.gate;

import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.Random;
import troupe.core.config.RunConfig.GateType;
import troupe.core.config.RunConfig.Mask;

/**
 * Measures gates on the host: processor time per token and expert of forward with its draws, and of
 * backward. Not a test; run its main with the flags of every Troupe JVM. Expect some ns.
 */
final class GateBench {
  private static final int ELEMENTS = 8 * 65_536;
  private static final int[] EXPERTS = {8, 64, 256, 1024};
  private static final GateType[] TYPES = {
    GateType.SWITCH,
    GateType.SPARSEMIXER,
    GateType.SPARSEMIXER_1ST,
    GateType.SPARSEMIXER_2ND,
    GateType.SPARSEMIXER_INF
  };
  private static final int REPEATS = 30;
  private static final double JITTER = 0.1;

  private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

  private GateBench() {}

  /** Prints a line for each gate, mask and number of experts; arguments choose numbers. */
  public static void main(String[] args) {
    for (int experts : EXPERTS) {
      for (GateType type : TYPES) {
        measure(type, Mask.NONE, experts);
      }
      measure(GateType.SPARSEMIXER, Mask.CODE, experts);
      measure(GateType.SPARSEMIXER, Mask.PAPER, experts);
    }
  }

  private static void measure(GateType type, Mask mask, int experts) {
    int tokens = ELEMENTS / experts;
    Random random = new Random(1);
    double[] logits_TE = random.doubles(ELEMENTS, -2, 2).toArray();
    double[] s_T = random.doubles(tokens, -1, 1).toArray();
    double[] dLogits_TE = new double[ELEMENTS];
    Gate gate = Configs.gate(type, JITTER, mask);
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
        "%4d experts %-16s mask %-5s forward %6.2f backward %6.2f total %6.2f ns%n",
        experts,
        type,
        mask,
        forward / ELEMENTS,
        backward / ELEMENTS,
        (forward + backward) / ELEMENTS);
  }
}
