package troupe.core.tensor.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import troupe.core.tensor.RoutingKernels.Scale;

/** The structures that kernels of {@code gates.cu} are given, as they lie in memory. */
final class RoutingStructures {
  private static final int MAX_NODES = 99;
  private static final long NODES = 16;
  private static final long UP_TO = NODES + 8L * MAX_NODES;
  private static final long SCALE_BYTES = UP_TO + 8L * MAX_NODES;
  private static final long SLOTS_BYTES = 56;

  // A run has one, or as many as its configs have been changed.
  private final Map<Scale, MemorySegment> scales = new ConcurrentHashMap<>();

  /** {@code Scale} of a gate. */
  MemorySegment scale(Scale scale) {
    return scales.computeIfAbsent(scale, RoutingStructures::write);
  }

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

  /** {@code Slots} of a routing. */
  static MemorySegment slots(CudaRouted routed) {
    MemorySegment memory = Arena.ofAuto().allocate(SLOTS_BYTES, 8);
    memory.setAtIndex(ValueLayout.JAVA_LONG, 0, routed.expert_S);
    memory.setAtIndex(ValueLayout.JAVA_LONG, 1, routed.multiplier_S);
    memory.setAtIndex(ValueLayout.JAVA_LONG, 2, routed.s_S);
    memory.setAtIndex(ValueLayout.JAVA_LONG, 3, routed.best_S);
    memory.setAtIndex(ValueLayout.JAVA_LONG, 4, routed.sum_S);
    memory.setAtIndex(ValueLayout.JAVA_INT, 10, routed.gate.k());
    memory.setAtIndex(ValueLayout.JAVA_INT, 11, routed.gate.mask().ordinal());
    memory.set(ValueLayout.JAVA_DOUBLE, 48, routed.gate.epsilon());
    return memory;
  }
}
