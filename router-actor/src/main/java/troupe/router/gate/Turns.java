package troupe.router.gate;

import java.util.Arrays;
import troupe.core.config.RunConfig.DropOrder;

/**
 * In which order the slots of a micro-batch may take their places: choice by choice, so that no
 * token's second choice takes the room of another one's first (GShard, arXiv 2006.16668, alg. 1);
 * within a choice by the order that the input's capacity names, ties by token.
 *
 * <p>The same for capacities that differ in their factor alone. Made when first asked for: where
 * every slot has room nobody asks. Belongs to one thread.
 */
final class Turns {
  private final GateInput input;
  private final Wishes wishes;
  private int[] tokenOf_S;
  private int[] order_S;

  Turns(GateInput input, Wishes wishes) {
    this.input = input;
    this.wishes = wishes;
  }

  GateInput input() {
    return input;
  }

  Wishes wishes() {
    return wishes;
  }

  /** The token that a slot belongs to. */
  int token(int slot) {
    if (tokenOf_S == null) {
      int[] firstSlot_T1 = wishes.firstSlot_T1();
      tokenOf_S = new int[wishes.wanted_S().length];
      for (int t = 0; t < input.tokens(); t++) {
        Arrays.fill(tokenOf_S, firstSlot_T1[t], firstSlot_T1[t + 1], t);
      }
    }
    return tokenOf_S[slot];
  }

  /** All slots in their order. */
  int[] order_S() {
    if (order_S == null) {
      order_S = order();
    }
    return order_S;
  }

  private int[] order() {
    int[] firstSlot_T1 = wishes.firstSlot_T1();
    int[] slot_S = new int[wishes.wanted_S().length];
    int most = 0;
    for (int t = 0; t < input.tokens(); t++) {
      most = Math.max(most, firstSlot_T1[t + 1] - firstSlot_T1[t]);
    }
    // Priorities are the tokens': one order for all their choices.
    int[] token_T = input.capacity().order() == DropOrder.SHUFFLED ? byPriority() : null;
    int next = 0;
    for (int choice = 0; choice < most; choice++) {
      int from = next;
      for (int i = 0; i < input.tokens(); i++) {
        int t = token_T == null ? i : token_T[i];
        int slot = firstSlot_T1[t] + choice;
        if (slot < firstSlot_T1[t + 1]) {
          slot_S[next++] = slot;
        }
      }
      if (input.capacity().order() == DropOrder.PROBABILITY) {
        sortByProbability(slot_S, from, next);
      }
    }
    return slot_S;
  }

  private int[] byPriority() {
    double[] key_T = new double[input.tokens()];
    for (int t = 0; t < key_T.length; t++) {
      key_T[t] = input.draws().priority(t);
    }
    return IndexSort.ascending(key_T);
  }

  private void sortByProbability(int[] slot_S, int from, int to) {
    double[] key = new double[to - from];
    for (int i = from; i < to; i++) {
      int slot = slot_S[i];
      key[i - from] = -wishes.p_TE()[token(slot) * input.experts() + wishes.wanted_S()[slot]];
    }
    int[] byKey = IndexSort.ascending(key);
    int[] sorted = new int[to - from];
    for (int i = 0; i < sorted.length; i++) {
      sorted[i] = slot_S[from + byKey[i]];
    }
    System.arraycopy(sorted, 0, slot_S, from, sorted.length);
  }
}
