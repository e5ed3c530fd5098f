package troupe.router.gate;

import java.util.Arrays;

/**
 * Which rows go to which expert: the slots that have a place, sorted by expert, the rows of an
 * expert in token order. Rows of expert e are {@code offset_E1[e]} to {@code offset_E1[e + 1]}.
 *
 * @param slots of the routing
 * @param tokenOfRow_R the token that a row comes from and goes back to
 * @param slotOfRow_R where the row is in the routing's arrays {@code _S}
 * @param offset_E1 first row of each expert, and the number of rows at the end
 * @param routed_E what each expert was chosen for, before capacity; the balance loss counts these
 */
public record DispatchPlan(
    int slots, int[] tokenOfRow_R, int[] slotOfRow_R, int[] offset_E1, int[] routed_E) {

  /** Plans the dispatch of a routing: a counting sort that takes O(S + E). */
  public static DispatchPlan of(Routing routing) {
    int experts = routing.experts();
    int[] expert_S = routing.expert_S();
    int[] offset_E1 = new int[experts + 1];
    for (int slot = 0; slot < expert_S.length; slot++) {
      offset_E1[expert_S[slot] + 1] += routing.isPlaced(slot) ? 1 : 0;
    }
    for (int e = 0; e < experts; e++) {
      offset_E1[e + 1] += offset_E1[e];
    }
    int[] next_E = Arrays.copyOf(offset_E1, experts);
    int[] slotOfRow_R = new int[offset_E1[experts]];
    int[] tokenOfRow_R = new int[offset_E1[experts]];
    for (int t = 0; t < routing.tokens(); t++) {
      for (int slot = routing.firstSlot_T1()[t]; slot < routing.firstSlot_T1()[t + 1]; slot++) {
        if (routing.isPlaced(slot)) {
          int row = next_E[expert_S[slot]]++;
          slotOfRow_R[row] = slot;
          tokenOfRow_R[row] = t;
        }
      }
    }
    return new DispatchPlan(
        expert_S.length, tokenOfRow_R, slotOfRow_R, offset_E1, Load.routed(routing));
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
  public double[] toRows(double[] x_S) {
    double[] x_R = new double[rows()];
    for (int row = 0; row < x_R.length; row++) {
      x_R[row] = x_S[slotOfRow_R[row]];
    }
    return x_R;
  }

  /** Values by row brought into the order of the slots; zero for dropped ones. */
  public double[] toSlots(double[] x_R) {
    double[] x_S = new double[slots];
    for (int row = 0; row < x_R.length; row++) {
      x_S[slotOfRow_R[row]] = x_R[row];
    }
    return x_S;
  }
}
