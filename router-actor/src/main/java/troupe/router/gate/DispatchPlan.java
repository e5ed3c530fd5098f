package troupe.router.gate;

import java.util.Arrays;
import troupe.core.config.RunConfig.DropOrder;

/**
 * Which rows go to which expert: the kept slots of a micro-batch sorted by expert, the rows of an
 * expert in token order. Rows of expert e are {@code offset_E1[e]} to {@code offset_E1[e + 1]}.
 *
 * @param slots tokens * topK of the routing
 * @param tokenOfRow_R the token that a row comes from and goes back to
 * @param slotOfRow_R where the row is in the routing's arrays {@code _TK}
 * @param offset_E1 first row of each expert, and the number of rows at the end
 * @param routed_E what each expert was chosen for, before dropping; the balance loss counts these
 */
public record DispatchPlan(
    int slots, int[] tokenOfRow_R, int[] slotOfRow_R, int[] offset_E1, int[] routed_E) {

  /**
   * Plans the dispatch of a routing. Takes O(T K + E), and a sort of the rows of experts that are
   * over capacity in shuffled order.
   *
   * @param draws priorities in shuffled order; never asked where nothing has to be dropped
   */
  public static DispatchPlan of(Routing routing, Capacity capacity, Draws draws) {
    int experts = routing.experts();
    int topK = routing.topK();
    int rows = capacity.rows(routing.tokens(), experts);
    int[] routed_E = Load.routed(routing);
    int[] slots = slotsByExpert(routing.expert_TK(), routed_E);
    int[] offset_E1 = new int[experts + 1];
    int from = 0;
    int kept = 0;
    for (int e = 0; e < experts; e++) {
      int to = from + routed_E[e];
      if (routed_E[e] > rows && capacity.order() == DropOrder.SHUFFLED) {
        keepByPriority(slots, from, to, kept, rows, draws, topK);
      } else {
        System.arraycopy(slots, from, slots, kept, Math.min(routed_E[e], rows));
      }
      from = to;
      kept += Math.min(routed_E[e], rows);
      offset_E1[e + 1] = kept;
    }
    int[] slotOfRow_R = Arrays.copyOf(slots, kept);
    int[] tokenOfRow_R = new int[kept];
    for (int row = 0; row < kept; row++) {
      tokenOfRow_R[row] = slotOfRow_R[row] / topK;
    }
    return new DispatchPlan(slots.length, tokenOfRow_R, slotOfRow_R, offset_E1, routed_E);
  }

  /** All slots, those of expert 0 first, each expert's in token order: a counting sort. */
  private static int[] slotsByExpert(int[] expert_TK, int[] routed_E) {
    int[] next_E = new int[routed_E.length];
    for (int e = 1; e < next_E.length; e++) {
      next_E[e] = next_E[e - 1] + routed_E[e - 1];
    }
    int[] slots = new int[expert_TK.length];
    for (int slot = 0; slot < slots.length; slot++) {
      slots[next_E[expert_TK[slot]]++] = slot;
    }
    return slots;
  }

  /**
   * Moves those {@code keep} of the slots in {@code [from, to)} that come first by priority, ties
   * by index, to {@code [target, target + keep)}, still in token order; {@code target <= from}.
   */
  private static void keepByPriority(
      int[] slots, int from, int to, int target, int keep, Draws draws, int topK) {
    double[] priorities = new double[to - from];
    for (int i = from; i < to; i++) {
      priorities[i - from] = draws.priority(slots[i] / topK);
    }
    double[] sorted = priorities.clone();
    Arrays.sort(sorted);
    double threshold = keep == 0 ? Double.NEGATIVE_INFINITY : sorted[keep - 1];
    int places = keep;
    for (int i = 0; i < keep; i++) {
      places -= sorted[i] < threshold ? 1 : 0;
    }
    for (int i = from; i < to; i++) {
      double priority = priorities[i - from];
      if (priority < threshold || priority == threshold && places-- > 0) {
        slots[target++] = slots[i];
      }
    }
  }

  /** Number of rows that go to an expert. */
  public int rows() {
    return tokenOfRow_R.length;
  }

  /** Number of rows of one expert. */
  public int rows(int expert) {
    return offset_E1[expert + 1] - offset_E1[expert];
  }

  /** Number of slots that found no place: their tokens pass by on the residual stream. */
  public int dropped() {
    return slots - rows();
  }

  /** Values by slot, such as multipliers, brought into the order of the rows. */
  public double[] toRows(double[] x_TK) {
    double[] x_R = new double[rows()];
    for (int row = 0; row < x_R.length; row++) {
      x_R[row] = x_TK[slotOfRow_R[row]];
    }
    return x_R;
  }

  /** Values by row brought into the order of the slots; zero for dropped ones. */
  public double[] toSlots(double[] x_R) {
    double[] x_TK = new double[slots];
    for (int row = 0; row < x_R.length; row++) {
      x_TK[slotOfRow_R[row]] = x_R[row];
    }
    return x_TK;
  }
}
