package troupe.router.gate;

import troupe.core.config.RunConfig.Overflow;

/**
 * Which slots find room at an expert.
 *
 * @param expert_S where each slot goes; the array that was asked for unless some were rerouted
 * @param placed_S whether it has room there, {@code null} if all have
 */
record Places(int[] expert_S, boolean[] placed_S) {

  /**
   * Gives out places in the order of {@link Turns}. With {@link Overflow#NEXT} slots left over then
   * ask, in the same order, the experts the token likes best after those it has, as long as a mask
   * lets them.
   *
   * <p>Takes O(S + E), a sort in any order but that of position, and O(S E) in the worst case of
   * rerouting.
   */
  static Places of(GateInput input, int[] firstSlot_T1, int[] wanted_S, double[] p_TE) {
    Turns turns = new Turns(input, new Wishes(firstSlot_T1, wanted_S, p_TE));
    return of(turns, input.capacity());
  }

  /**
   * The same for turns that others take too: under capacities that differ in their factor alone.
   */
  static Places of(Turns turns, Capacity capacity) {
    double tokens = Math.max(1, turns.input().tokens());
    return of(turns, capacity, turns.wishes().wanted_S().length / tokens);
  }

  /**
   * As above, with room for another number of slots a token than there are.
   *
   * @param slotsPerToken what capacity is reckoned from
   */
  static Places of(
      GateInput input, int[] firstSlot_T1, int[] wanted_S, double[] p_TE, double slotsPerToken) {
    Turns turns = new Turns(input, new Wishes(firstSlot_T1, wanted_S, p_TE));
    return of(turns, input.capacity(), slotsPerToken);
  }

  private static Places of(Turns turns, Capacity capacity, double slotsPerToken) {
    if (capacity.isDropless() || turns.wishes().wanted_S().length == 0) {
      return new Places(turns.wishes().wanted_S(), null);
    }
    return new Round(turns, capacity, slotsPerToken).places();
  }

  /** Whether a slot has room. */
  boolean has(int slot) {
    return placed_S == null || placed_S[slot];
  }

  /** One giving out of places. */
  private static final class Round {
    private final Turns turns;
    private final Capacity capacity;
    private final int experts;
    private final int[] wanted_S;
    private final long[] room_G;
    private final boolean[] placed_S;
    private int[] expert_S;

    Round(Turns turns, Capacity capacity, double slotsPerToken) {
      this.turns = turns;
      this.capacity = capacity;
      this.experts = turns.input().experts();
      this.wanted_S = turns.wishes().wanted_S();
      this.expert_S = wanted_S;
      long rows = capacity.rows(turns.input().tokens(), experts, slotsPerToken);
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
      int[] order_S = turns.order_S();
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
      int token = turns.token(slot);
      double[] p_TE = turns.wishes().p_TE();
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
      int[] firstSlot_T1 = turns.wishes().firstSlot_T1();
      for (int slot = firstSlot_T1[token]; slot < firstSlot_T1[token + 1]; slot++) {
        if (expert_S[slot] == expert || wanted_S[slot] == expert) {
          return true;
        }
      }
      return false;
    }
  }
}
