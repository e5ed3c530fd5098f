package troupe.core.tensor.cuda;

import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * Indices grouped by value, each group in order, on the device: who adds to one row goes by turns.
 */
final class RowGroups implements AutoCloseable {
  private final int count;

  /** The value of each group; where each begins in the indices, and their number; the indices. */
  private final Scratch all;

  /**
   * Groups of indices.
   *
   * @param values the row that each index goes to
   * @param bound more than any value
   */
  RowGroups(CudaDevice device, int[] values, int bound) {
    int[] next = new int[bound + 1];
    for (int value : values) {
      next[value + 1]++;
    }
    int[] targets = IntStream.range(0, bound).filter(value -> next[value + 1] > 0).toArray();
    this.count = targets.length;
    int sorted = 2 * count + 1;
    int[] indices = Arrays.copyOf(targets, sorted + values.length);
    for (int i = 0; i < count; i++) {
      indices[count + i + 1] = indices[count + i] + next[targets[i] + 1];
    }
    Arrays.parallelPrefix(next, Integer::sum);
    for (int i = 0; i < values.length; i++) {
      indices[sorted + next[values[i]]++] = i;
    }
    this.all = device.transfers().upload(indices);
  }

  /** Number of groups. */
  int count() {
    return count;
  }

  /** Address of the value of each group. */
  long target() {
    return all.address();
  }

  /** Address of where each group begins in {@link #order}, and of the number of indices. */
  long start() {
    return target() + (long) count * Integer.BYTES;
  }

  /** Address of the indices, group by group. */
  long order() {
    return start() + (count + 1L) * Integer.BYTES;
  }

  @Override
  public void close() {
    all.close();
  }
}
