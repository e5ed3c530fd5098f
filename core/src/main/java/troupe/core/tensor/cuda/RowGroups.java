package troupe.core.tensor.cuda;

import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * Indices grouped by value, each group in order, on the device: who adds to one row goes by turns.
 */
final class RowGroups implements AutoCloseable {
  private final CudaDevice device;
  private final int count;
  private final long target;
  private final long start;
  private final long order;

  /**
   * Groups of indices.
   *
   * @param values the row that each index goes to
   * @param bound more than any value
   */
  RowGroups(CudaDevice device, int[] values, int bound) {
    this.device = device;
    int[] next = new int[bound + 1];
    for (int value : values) {
      next[value + 1]++;
    }
    int[] targets = IntStream.range(0, bound).filter(value -> next[value + 1] > 0).toArray();
    int[] starts = new int[targets.length + 1];
    for (int i = 0; i < targets.length; i++) {
      starts[i + 1] = starts[i] + next[targets[i] + 1];
    }
    Arrays.parallelPrefix(next, Integer::sum);
    int[] sorted = new int[values.length];
    for (int i = 0; i < values.length; i++) {
      sorted[next[values[i]]++] = i;
    }
    this.count = targets.length;
    this.target = device.transfers().upload(targets);
    this.start = device.transfers().upload(starts);
    this.order = device.transfers().upload(sorted);
  }

  /** Number of groups. */
  int count() {
    return count;
  }

  /** Address of the value of each group. */
  long target() {
    return target;
  }

  /** Address of where each group begins in {@link #order}, and of the number of indices. */
  long start() {
    return start;
  }

  /** Address of the indices, group by group. */
  long order() {
    return order;
  }

  @Override
  public void close() {
    device.memory().free(target);
    device.memory().free(start);
    device.memory().free(order);
  }
}
