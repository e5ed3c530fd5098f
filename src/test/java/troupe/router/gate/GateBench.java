package troupe.router.gate;

import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/**
 * Measures gates on the host: processor time per token and expert of forward with its draws and of
 * backward, the least of many times, and that of the draws alone. Gates take turns, so that a time
 * at which others disturb is all of theirs. Time that others take from the core is not in it, what
 * they take from its caches and from the other thread of the core is. Not a test; run its main with
 * {@code @scripts/jvm.options}, the numbers of experts as arguments.
 */
final class GateBench {
  private static final int ELEMENTS = 8 * 65_536;
  private static final String[] EXPERTS = {"8", "64", "256", "1024"};
  private static final List<String> GATES =
      List.of(
          "switch gate.jitter=0",
          "switch gate.jitter_on=logits",
          "sparsemixer gate.mask=none",
          "sparsemixer-1st gate.mask=none",
          "sparsemixer-2nd gate.mask=none",
          "sparsemixer-inf gate.mask=none",
          "sparsemixer gate.mask=code",
          "sparsemixer gate.mask=paper",
          "softmax-topk gate.top_k=2",
          "gshard gate.gshard.second=random",
          "gshard gate.gshard.second=sampled",
          "sparsemixer-v2 gate.top_k=2",
          "sparsemixer-v2 gate.top_k=2 gate.mask=none",
          "deepseek-v3 gate.top_k=2");
  private static final int REPEATS = 60;
  private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

  private final int tokens;
  private final int experts;
  private final double[] logits_TE;
  private final double[] s_S;
  private final double[] dLogits_TE = new double[ELEMENTS];

  private GateBench(int experts) {
    this.tokens = ELEMENTS / experts;
    this.experts = experts;
    Random random = new Random(1);
    this.logits_TE = random.doubles(ELEMENTS, -2, 2).toArray();
    this.s_S = random.doubles(2 * tokens, -1, 1).toArray();
  }

  /** Prints a line for each number of experts and gate. */
  public static void main(String[] args) {
    for (String number : args.length == 0 ? EXPERTS : args) {
      new GateBench(Integer.parseInt(number)).run();
    }
  }

  private void run() {
    List<Gate> gates = GATES.stream().map(gate -> Configs.parsed("gate.type=" + gate)).toList();
    double[] forward_G = new double[GATES.size()];
    double[] backward_G = new double[GATES.size()];
    Arrays.fill(forward_G, Double.MAX_VALUE);
    Arrays.fill(backward_G, Double.MAX_VALUE);
    double exponentials = Double.MAX_VALUE;
    for (int i = 0; i < REPEATS; i++) {
      exponentials = Math.min(exponentials, draw(i));
      for (int g = 0; g < GATES.size(); g++) {
        long start = THREADS.getCurrentThreadCpuTime();
        Routing routing = route(gates.get(g), i);
        long routed = THREADS.getCurrentThreadCpuTime();
        routing.backward(dLogits_TE, s_S);
        long end = THREADS.getCurrentThreadCpuTime();
        forward_G[g] = Math.min(forward_G[g], routed - start);
        backward_G[g] = Math.min(backward_G[g], end - routed);
      }
    }
    System.out.printf("%4d experts, exponentials: %.2f ns%n", experts, exponentials / ELEMENTS);
    for (int g = 0; g < GATES.size(); g++) {
      System.out.printf(
          "%4d experts, %s: forward %.2f + backward %.2f = %.2f ns%n",
          experts,
          GATES.get(g),
          forward_G[g] / ELEMENTS,
          backward_G[g] / ELEMENTS,
          (forward_G[g] + backward_G[g]) / ELEMENTS);
    }
  }

  private Routing route(Gate gate, int step) {
    double[] state = new double[gate.state() == null ? 0 : gate.state().size(experts)];
    Draws draws = new CounterDraws(1, step, 0, 0);
    return gate.route(GateInput.of(logits_TE, tokens, experts, draws, true).with(state));
  }

  private long draw(int step) {
    int many = 64;
    double[] out = new double[many * experts];
    CounterDraws draws = new CounterDraws(1, step, 0, 0);
    long start = THREADS.getCurrentThreadCpuTime();
    for (int t = 0; t < tokens; t += many) {
      draws.exponentials(t, many, experts, 0, out, many);
    }
    return THREADS.getCurrentThreadCpuTime() - start;
  }
}
