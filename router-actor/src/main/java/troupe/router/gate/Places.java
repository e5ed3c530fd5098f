package troupe.router.gate;

import java.util.Arrays;
import troupe.core.config.RunConfig.DropOrder;
import troupe.core.config.RunConfig.Overflow;

/**
 * Which slots find room at an expert.
 *
 * @param expert_S where each slot goes; the array that was asked for unless some were rerouted
 * @param placed_S whether it has room there, {@code null} if all have
 */
record Places(int[] expert_S, boolean[] placed_S) {

  /**
   * Gives out places choice by choice, so that no token's second choice takes the room of another
   * one's first (GShard, arXiv 2006.16668, alg. 1); within a choice by the order that the capacity
   * names, ties by token. With {@link Overflow#NEXT} those left over then ask, in the same order,
   * the experts the token likes best after those it has, as long as a mask lets them.
   *
   * <p>Takes O(S + E), a sort in any order but that of position, and O(S E) in the worst case of
   * rerouting.
   *
   * @param p_TE what the token likes
   */
  static Places of(GateInput input, int[] firstSlot_T1, int[] wanted_S, double[] p_TE) {
    double slotsPerToken = (double) wanted_S.length / Math.max(1, input.tokens());
    return of(input, firstSlot_T1, wanted_S, p_TE, slotsPerToken);
  }

  /**
   * As above, with room for another number of slots a token than there are.
   *
   * @param slotsPerToken what capacity is reckoned from
   */
  static Places of(
      GateInput input, int[] firstSlot_T1, int[] wanted_S, double[] p_TE, double slotsPerToken) {
    Capacity capacity = input.capacity();
    if (capacity.isDropless() || wanted_S.length == 0) {
      return new Places(wanted_S, null);
    }
    return new Round(input, firstSlot_T1, wanted_S, p_TE, slotsPerToken).places();
  }

  /** Whether a slot has room. */
  boolean has(int slot) {
    return placed_S == null || placed_S[slot];
  }

  /** One giving out of places. */
  private static final class Round {
    private final GateInput input;
    private final Capacity capacity;
    private final int experts;
    private final int[] firstSlot_T1;
    private final int[] wanted_S;
    private final double[] p_TE;
    private final int[] tokenOf_S;
    private final long[] room_G;
    private final boolean[] placed_S;
    private int[] expert_S;

    Round(
        GateInput input, int[] firstSlot_T1, int[] wanted_S, double[] p_TE, double slotsPerToken) {
      this.input = input;
      this.capacity = input.capacity();
      this.experts = input.experts();
      this.firstSlot_T1 = firstSlot_T1;
      this.wanted_S = wanted_S;
      this.expert_S = wanted_S;
      this.p_TE = p_TE;
      this.tokenOf_S = new int[wanted_S.length];
      for (int t = 0; t < input.tokens(); t++) {
        Arrays.fill(tokenOf_S, firstSlot_T1[t], firstSlot_T1[t + 1], t);
      }
      long rows = capacity.rows(input.tokens(), experts, slotsPerToken);
      this.room_G = new long[capacity.groups() == 0 ? experts : capacity.groups()];
      for (int e = 0; e < experts; e++) {
        room_G[capacity.group(e, experts)] += rows;
      }
      this.placed_S = new boolean[wanted_S.length];
    }

    Places places() {
      if (fits()) {
        return new Places(wanted_S, null);
      }
      int[] order_S = order();
      for (int slot : order_S) {
        placed_S[slot] = take(expert_S[slot]);
      }
      if (capacity.overflow() == Overflow.NEXT) {
        for (int slot : order_S) {
          if (!placed_S[slot]) {
            reroute(slot);
          }
        }
      }
      return new Places(expert_S, placed_S);
    }

    private boolean fits() {
      long[] left_G = room_G.clone();
      boolean fits = true;
      for (int expert : wanted_S) {
        fits &= --left_G[capacity.group(expert, experts)] >= 0;
      }
      return fits;
    }

    private boolean take(int expert) {
      int group = capacity.group(expert, experts);
      if (room_G[group] == 0) {
        return false;
      }
      room_G[group]--;
      return true;
    }

    private void reroute(int slot) {
      int token = tokenOf_S[slot];
      int from = token * experts;
      int best = -1;
      for (int e = 0; e < experts; e++) {
        double p = p_TE[from + e];
        if (p > 0
            && room_G[capacity.group(e, experts)] > 0
            && (best < 0 || p > p_TE[from + best])
            && !has(token, e)) {
          best = e;
        }
      }
      if (best >= 0 && take(best)) {
        if (expert_S == wanted_S) {
          expert_S = wanted_S.clone();
        }
        expert_S[slot] = best;
        placed_S[slot] = true;
      }
    }

    private boolean has(int token, int expert) {
      for (int slot = firstSlot_T1[token]; slot < firstSlot_T1[token + 1]; slot++) {
        if (expert_S[slot] == expert || wanted_S[slot] == expert) {
          return true;
        }
      }
      return false;
    }

    /** All slots in the order in which they may take a place. */
    private int[] order() {
      int[] order_S = new int[wanted_S.length];
      int most = 0;
      for (int t = 0; t < input.tokens(); t++) {
        most = Math.max(most, firstSlot_T1[t + 1] - firstSlot_T1[t]);
      }
      // Priorities are the tokens': one order for all their choices.
      int[] token_T = capacity.order() == DropOrder.SHUFFLED ? byPriority() : null;
      int next = 0;
      for (int choice = 0; choice < most; choice++) {
        int from = next;
        for (int i = 0; i < input.tokens(); i++) {
          int t = token_T == null ? i : token_T[i];
          int slot = firstSlot_T1[t] + choice;
          if (slot < firstSlot_T1[t + 1]) {
            order_S[next++] = slot;
          }
        }
        if (capacity.order() == DropOrder.PROBABILITY) {
          sortByProbability(order_S, from, next);
        }
      }
      return order_S;
    }

    private int[] byPriority() {
      double[] key_T = new double[input.tokens()];
      for (int t = 0; t < key_T.length; t++) {
        key_T[t] = input.draws().priority(t);
      }
      return IndexSort.ascending(key_T);
    }

    private void sortByProbability(int[] order_S, int from, int to) {
      double[] key = new double[to - from];
      for (int i = from; i < to; i++) {
        int slot = order_S[i];
        key[i - from] = -p_TE[tokenOf_S[slot] * experts + wanted_S[slot]];
      }
      int[] byKey = IndexSort.ascending(key);
      int[] sorted = new int[to - from];
      for (int i = 0; i < sorted.length; i++) {
        sorted[i] = order_S[from + byKey[i]];
      }
      System.arraycopy(sorted, 0, order_S, from, sorted.length);
    }
  }
}
