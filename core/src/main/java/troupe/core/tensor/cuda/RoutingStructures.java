package troupe.core.tensor.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import troupe.core.tensor.RoutingKernels.DrawKey;
import troupe.core.tensor.RoutingKernels.Gate;
import troupe.core.tensor.RoutingKernels.Scale;

/**
 * The structures that kernels of {@code gates.cu} are given, as they lie in memory. A launch copies
 * them: they may go when it has returned.
 */
final class RoutingStructures {
  private static final int MAX_NODES = 99;
  private static final long NODES = 16;
  private static final long UP_TO = NODES + 8L * MAX_NODES;
  private static final long SCALE_BYTES = UP_TO + 8L * MAX_NODES;
  private static final long SCALE = 40;
  private static final long SAMPLING_BYTES = SCALE + SCALE_BYTES;

  // A run has one, or as many as its configs have been changed.
  private final Map<Scale, MemorySegment> scales = new ConcurrentHashMap<>();

  private static MemorySegment write(Scale scale) {
    MemorySegment memory = Arena.ofAuto().allocate(SCALE_BYTES, 8);
    memory.setAtIndex(ValueLayout.JAVA_INT, 0, scale.fullBest() ? 1 : 0);
    memory.setAtIndex(ValueLayout.JAVA_INT, 1, scale.evenly() ? 1 : 0);
    memory.setAtIndex(ValueLayout.JAVA_INT, 2, scale.nodes().size());
    for (int i = 0; i < scale.nodes().size(); i++) {
      memory.set(ValueLayout.JAVA_DOUBLE, NODES + 8L * i, scale.nodes().get(i));
      memory.set(ValueLayout.JAVA_DOUBLE, UP_TO + 8L * i, scale.upTo().get(i));
    }
    return memory;
  }

  /** {@code Sampling} of a gate. */
  MemorySegment sampling(Arena arena, Gate gate, boolean training, DrawKey draws) {
    MemorySegment memory = arena.allocate(SAMPLING_BYTES, 8);
    memory.set(ValueLayout.JAVA_LONG, 0, draws.seed());
    memory.set(ValueLayout.JAVA_INT, 8, (int) draws.step());
    memory.set(ValueLayout.JAVA_INT, 12, draws.layer());
    memory.set(ValueLayout.JAVA_LONG, 16, draws.firstToken());
    memory.set(ValueLayout.JAVA_DOUBLE, 24, gate.epsilon());
    memory.set(ValueLayout.JAVA_INT, 32, gate.mask().ordinal());
    memory.set(ValueLayout.JAVA_INT, 36, training ? 1 : 0);
    MemorySegment scale = scales.computeIfAbsent(gate.scale(), RoutingStructures::write);
    MemorySegment.copy(scale, 0, memory, SCALE, SCALE_BYTES);
    return memory;
  }

  /** {@code Routing} of a routing. */
  static MemorySegment routing(Arena arena, CudaRouted routed) {
    return arena.allocateFrom(
        ValueLayout.JAVA_LONG,
        CudaTensor.of(routed.logits_TE).address(),
        routed.expert_S,
        routed.multiplier_S,
        routed.scale_S,
        routed.s_S,
        routed.alive_T,
        routed.p_TE,
        routed.used_TE,
        routed.jitter_TE,
        routed.best_S,
        routed.sum_S,
        routed.summary + CudaRouted.SummaryLayout.BAD,
        // Two numbers in a word, the first in its lower half.
        routed.tokens | (long) routed.experts << 32,
        routed.gate.k());
  }

  /** {@code Gradient} of the logits of a routing. */
  static MemorySegment gradient(
      Arena arena,
      long dLogits_TE,
      Scratch load_E,
      Scratch advantage_T,
      Gate gate,
      double kappa,
      double balanceFactor,
      double zFactor) {
    MemorySegment memory = arena.allocate(64, 8);
    memory.set(ValueLayout.JAVA_LONG, 0, dLogits_TE);
    memory.set(ValueLayout.JAVA_LONG, 8, load_E.address());
    memory.set(ValueLayout.JAVA_LONG, 16, advantage_T == null ? 0 : advantage_T.address());
    memory.set(ValueLayout.JAVA_DOUBLE, 24, kappa);
    memory.set(ValueLayout.JAVA_DOUBLE, 32, balanceFactor);
    memory.set(ValueLayout.JAVA_DOUBLE, 40, zFactor);
    memory.set(ValueLayout.JAVA_DOUBLE, 48, gate.epsilon());
    memory.set(ValueLayout.JAVA_INT, 56, gate.mask().ordinal());
    return memory;
  }
}
