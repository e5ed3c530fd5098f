package troupe.router.gate;

/**
 * The k best of the values that are offered, ties by the lesser index: a heap with the worst of
 * them on top. A selection instead of a sort: n values in random order take O(n + k log k log(n /
 * k)).
 */
final class TopSelection {
  private final double[] value;
  private final int[] index;
  private int size;

  /** Selects {@code k} values; {@code k >= 1}. */
  TopSelection(int k) {
    this.value = new double[k];
    this.index = new int[k];
  }

  /** Forgets what was offered. */
  void clear() {
    size = 0;
  }

  /** How many were selected: k, unless fewer were offered. */
  int size() {
    return size;
  }

  /** Whether k values are there, so that another one has to be better than the worst. */
  boolean isFull() {
    return size == value.length;
  }

  /** The least of the selected values. */
  double worst() {
    return value[0];
  }

  /** The index of {@link #worst}. */
  int worstIndex() {
    return index[0];
  }

  /** The index of a selected value, in no order. */
  int index(int i) {
    return index[i];
  }

  /** A selected value, in no order. */
  double value(int i) {
    return value[i];
  }

  /** Takes a value in if it is among the k best so far. */
  void offer(double v, int i) {
    if (size < value.length) {
      int at = size++;
      while (at > 0 && isWorse(v, i, value[(at - 1) / 2], index[(at - 1) / 2])) {
        value[at] = value[(at - 1) / 2];
        index[at] = index[(at - 1) / 2];
        at = (at - 1) / 2;
      }
      value[at] = v;
      index[at] = i;
    } else if (isWorse(value[0], index[0], v, i)) {
      replaceWorst(v, i);
    }
  }

  /** Empties the selection: its indices, best first. */
  int[] drainBestFirst() {
    int[] best = new int[size];
    while (size > 0) {
      best[size - 1] = index[0];
      size--;
      replaceWorst(value[size], index[size]);
    }
    return best;
  }

  private void replaceWorst(double v, int i) {
    int at = 0;
    for (int child = 1; child < size; child = 2 * at + 1) {
      if (child + 1 < size
          && isWorse(value[child + 1], index[child + 1], value[child], index[child])) {
        child++;
      }
      if (!isWorse(value[child], index[child], v, i)) {
        break;
      }
      value[at] = value[child];
      index[at] = index[child];
      at = child;
    }
    value[at] = v;
    index[at] = i;
  }

  private static boolean isWorse(double a, int i, double b, int j) {
    return a < b || a == b && i > j;
  }
}
