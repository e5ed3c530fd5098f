package troupe.core.tensor.cuda;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import troupe.core.tensor.RoutingKernels.Choice;
import troupe.core.tensor.RoutingKernels.Gate;
import troupe.core.tensor.RoutingKernels.Routed;
import troupe.core.tensor.RoutingKernels.Summary;
import troupe.core.tensor.Tensor;

/**
 * A routing in a GPU's memory: one allocation, whose arrays {@code gates.cu} and {@code routing.cu}
 * name.
 */
final class CudaRouted implements Routed {
  /** Least multiple of the sizes that one allocation is cut into. */
  private static final long ALIGNMENT = 256;

  /** One allocation cut into arrays, in the order in which they are asked for. */
  private static final class Cutter {
    private long bytes;

    long take(long count, long each) {
      long offset = bytes;
      bytes += (count * each + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
      return offset;
    }
  }

  /** What the host learns, as it lies in memory: eight-byte numbers first. */
  record SummaryLayout(int experts, boolean countsFirst) {
    static final long BAD = 0;
    static final long SUM_Z = 8;
    static final long SUM_P = 16;

    long alive() {
      return SUM_P + 8L * experts;
    }

    long badLogit() {
      return alive() + 4;
    }

    long offset() {
      return badLogit() + 4;
    }

    long routed() {
      return offset() + 4L * (experts + 1);
    }

    long first() {
      return routed() + 4L * experts;
    }

    long bytes() {
      return first() + (countsFirst ? 4L * experts : 0);
    }

    Summary decode(MemorySegment memory) {
      long bad = memory.get(ValueLayout.JAVA_LONG, BAD);
      return new DecodedSummary(
          memory.asSlice(offset(), 4L * (experts + 1)).toArray(ValueLayout.JAVA_INT),
          memory.asSlice(routed(), 4L * experts).toArray(ValueLayout.JAVA_INT),
          memory.asSlice(first(), bytes() - first()).toArray(ValueLayout.JAVA_INT),
          memory.asSlice(SUM_P, 8L * experts).toArray(ValueLayout.JAVA_DOUBLE),
          memory.get(ValueLayout.JAVA_DOUBLE, SUM_Z),
          memory.get(ValueLayout.JAVA_INT, alive()),
          bad == -1 ? null : new int[] {(int) (bad / experts), (int) (bad % experts)},
          memory.get(ValueLayout.JAVA_FLOAT, badLogit()));
    }
  }

  private record DecodedSummary(
      int[] offset_E1,
      int[] routed_E,
      int[] first_E,
      double[] sumP_E,
      double sumZ,
      int alive,
      int[] firstNonFinite_2,
      float nonFinite)
      implements Summary {}

  private final CudaDevice device;
  final int tokens;
  final int slots;
  final int experts;
  final Gate gate;
  final boolean training;
  final Tensor logits_TE;
  final SummaryLayout layout;
  private final long memory;
  final long expert_S;
  final long multiplier_S;
  final long scale_S;
  final long s_S;
  final long rowOfSlot_S;
  final long slotOfRow_R;
  final long p_TE;
  final long alive_T;
  final long best_S;
  final long sum_S;
  final long used_TE;
  final long jitter_TE;
  final long summary;
  private Readbacks.Pending<Summary> pending;
  private boolean closed;

  CudaRouted(CudaDevice device, Tensor logits_TE, Gate gate, boolean training) {
    this.device = device;
    this.logits_TE = logits_TE;
    this.tokens = logits_TE.rows();
    this.slots = Math.multiplyExact(tokens, gate.k());
    this.experts = logits_TE.columns();
    this.gate = gate;
    this.training = training;
    this.layout = new SummaryLayout(experts, gate.choice() == Choice.PAIR);
    boolean rounds = gate.choice() == Choice.ROUNDS;
    boolean jittered = gate.choice() == Choice.SWITCH && training && gate.epsilon() > 0;
    long all = (long) tokens * experts;
    Cutter cutter = new Cutter();
    long expert = cutter.take(slots, 4);
    long multiplier = cutter.take(slots, 4);
    long scale = cutter.take(slots, 4);
    long s = cutter.take(slots, 4);
    long rowOfSlot = cutter.take(slots, 4);
    long slotOfRow = cutter.take(slots, 4);
    long p = cutter.take(all, 4);
    long alive = cutter.take(tokens, 1);
    long best = rounds ? cutter.take(slots, 4) : -1;
    long sum = rounds ? cutter.take(slots, 8) : -1;
    long used = jittered ? cutter.take(all, 4) : -1;
    long jitter = jittered ? cutter.take(all, 4) : -1;
    long end = cutter.take(layout.bytes(), 1);
    this.memory = device.memory().allocate(cutter.bytes);
    this.expert_S = memory + expert;
    this.multiplier_S = memory + multiplier;
    this.scale_S = memory + scale;
    this.s_S = memory + s;
    this.rowOfSlot_S = memory + rowOfSlot;
    this.slotOfRow_R = memory + slotOfRow;
    this.p_TE = memory + p;
    this.alive_T = memory + alive;
    this.best_S = best < 0 ? 0 : memory + best;
    this.sum_S = sum < 0 ? 0 : memory + sum;
    this.used_TE = used < 0 ? 0 : memory + used;
    this.jitter_TE = jitter < 0 ? 0 : memory + jitter;
    this.summary = memory + end;
  }

  /** The logits that the gate used. */
  long logitsUsed() {
    return used_TE == 0 ? CudaTensor.of(logits_TE).address() : used_TE;
  }

  long offset_E1() {
    return summary + layout.offset();
  }

  /** Queues the copy of the summary to the host. */
  void readSummary() {
    pending = device.readbacks().read(summary, layout.bytes(), layout::decode);
  }

  @Override
  public Summary summary() {
    return pending.get();
  }

  @Override
  public void close() {
    if (!closed) {
      closed = true;
      device.memory().free(memory);
      logits_TE.close();
    }
  }
}
