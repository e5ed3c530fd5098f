package troupe.router.gate;

import java.util.Arrays;

/**
 * The assignment of n rows to experts with places of which there are n or more, that maximises the
 * sum of values: exact, but for rounding. Rows are taken in one by one; each goes where it is worth
 * most when others may be moved on for it, along the best path in the graph of experts whose edges
 * are the best exchanges:
 *
 * <pre>
 *   edge(u, v) = max over rows i at u of value_iv - value_iu,     -infinity where nobody is at u
 * </pre>
 *
 * No path gains by leading back, since what there is, is optimal. Paths are found by Bellman's and
 * Ford's sweeps over the experts that are full: one that is not has room at the end of a path, and
 * nothing is gained by going on.
 *
 * <p>Takes O(E) for an edge a row brings, O(rows of an expert) for one it takes away, and O(E^2) a
 * sweep of which a few do, E at worst.
 */
final class BalancedAssignment {
  /** What a path has to gain, relative to the largest value: else roundings lead in circles. */
  private static final double LEAST_GAIN = 1e-13;

  private final double[] value_NE;
  private final int experts;
  private final int[] capacity_E;
  private final double leastGain;
  private final int[] expert_N;
  private final int[][] rows_EN;
  private final int[] numRows_E;
  private final int[] place_N;
  private final double[] edge_EE;
  private final int[] mover_EE;
  private final double[] gain_E;
  private final int[] before_E;

  /**
   * Assigns all rows.
   *
   * @param value_NE finite, row-major
   * @param capacity_E places of each expert, n or more in all
   */
  BalancedAssignment(double[] value_NE, int[] capacity_E) {
    this.value_NE = value_NE;
    this.experts = capacity_E.length;
    this.capacity_E = capacity_E;
    int n = value_NE.length / experts;
    if (Arrays.stream(capacity_E).asLongStream().sum() < n) {
      throw new IllegalArgumentException(
          "capacity: " + Arrays.toString(capacity_E) + " (expected: sum >= " + n + ")");
    }
    double largest = 1;
    for (double value : value_NE) {
      largest = Math.max(largest, Math.abs(value));
    }
    this.leastGain = LEAST_GAIN * largest;
    this.expert_N = new int[n];
    this.place_N = new int[n];
    this.rows_EN = new int[experts][];
    for (int e = 0; e < experts; e++) {
      rows_EN[e] = new int[capacity_E[e]];
    }
    this.numRows_E = new int[experts];
    this.edge_EE = new double[experts * experts];
    Arrays.fill(edge_EE, Double.NEGATIVE_INFINITY);
    this.mover_EE = new int[experts * experts];
    this.gain_E = new double[experts];
    this.before_E = new int[experts];
    for (int row = 0; row < n; row++) {
      takeIn(row);
    }
  }

  /** The expert of each row. */
  int[] expert_N() {
    return expert_N;
  }

  /** The sum of the values of all rows at their experts. */
  double value() {
    double sum = 0;
    for (int row = 0; row < expert_N.length; row++) {
      sum += value_NE[row * experts + expert_N[row]];
    }
    return sum;
  }

  /** The best exchanges: what moving the best row of u to v gains, {@code [u][v]}. */
  double[] edge_EE() {
    return edge_EE;
  }

  /** Whether an expert has a place left. */
  boolean hasRoom(int expert) {
    return numRows_E[expert] < capacity_E[expert];
  }

  /**
   * What the best completion gains when one row more comes to {@code u} and a place becomes free at
   * {@code v}, {@code [u][v]}: the longest path from u to v, by Floyd's and Warshall's O(E^3). A
   * row of v itself may be the one that comes: a path to v never uses what it brought there. A free
   * place counts as a row that is worth nothing anywhere, so that it may be moved on too.
   */
  double[] longestPath_EE() {
    double[] path_EE = edge_EE.clone();
    for (int u = 0; u < experts; u++) {
      for (int v = 0; v < experts && hasRoom(u); v++) {
        path_EE[u * experts + v] = Math.max(0, path_EE[u * experts + v]);
      }
      path_EE[u * experts + u] = 0;
    }
    for (int via = 0; via < experts; via++) {
      for (int u = 0; u < experts; u++) {
        double toVia = path_EE[u * experts + via];
        if (toVia == Double.NEGATIVE_INFINITY || u == via) {
          continue;
        }
        for (int v = 0; v < experts; v++) {
          path_EE[u * experts + v] =
              Math.max(path_EE[u * experts + v], toVia + path_EE[via * experts + v]);
        }
      }
    }
    return path_EE;
  }

  private void takeIn(int row) {
    System.arraycopy(value_NE, row * experts, gain_E, 0, experts);
    Arrays.fill(before_E, -1);
    for (boolean better = true; better; ) {
      better = false;
      for (int u = 0; u < experts; u++) {
        better |= !hasRoom(u) && relax(u);
      }
    }
    int end = -1;
    for (int e = 0; e < experts; e++) {
      if (hasRoom(e) && (end < 0 || gain_E[e] > gain_E[end])) {
        end = e;
      }
    }
    while (before_E[end] >= 0) {
      int from = before_E[end];
      int mover = mover_EE[from * experts + end];
      remove(mover, from);
      add(mover, end);
      end = from;
    }
    add(row, end);
  }

  private boolean relax(int u) {
    boolean better = false;
    for (int v = 0; v < experts; v++) {
      double gain = gain_E[u] + edge_EE[u * experts + v];
      if (gain > gain_E[v] + leastGain && v != u) {
        gain_E[v] = gain;
        before_E[v] = u;
        better = true;
      }
    }
    return better;
  }

  private void add(int row, int expert) {
    expert_N[row] = expert;
    place_N[row] = numRows_E[expert];
    rows_EN[expert][numRows_E[expert]++] = row;
    double own = value_NE[row * experts + expert];
    for (int v = 0; v < experts; v++) {
      int edge = expert * experts + v;
      double gain = value_NE[row * experts + v] - own;
      if (gain > edge_EE[edge]) {
        edge_EE[edge] = gain;
        mover_EE[edge] = row;
      }
    }
  }

  private void remove(int row, int expert) {
    int last = rows_EN[expert][--numRows_E[expert]];
    rows_EN[expert][place_N[row]] = last;
    place_N[last] = place_N[row];
    for (int v = 0; v < experts; v++) {
      if (mover_EE[expert * experts + v] == row) {
        findEdge(expert, v);
      }
    }
  }

  private void findEdge(int u, int v) {
    double best = Double.NEGATIVE_INFINITY;
    int mover = 0;
    for (int i = 0; i < numRows_E[u]; i++) {
      int row = rows_EN[u][i] * experts;
      double gain = value_NE[row + v] - value_NE[row + u];
      if (gain > best) {
        best = gain;
        mover = rows_EN[u][i];
      }
    }
    edge_EE[u * experts + v] = best;
    mover_EE[u * experts + v] = mover;
  }
}
