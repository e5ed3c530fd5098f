package troupe.router.gate;

/** Sorts indices by what they stand for, which the JDK only does with boxed ones. */
final class IndexSort {
  private IndexSort() {}

  /** Indices of {@code key} from its least to its largest value, ties by index: a merge sort. */
  static int[] ascending(double[] key) {
    int n = key.length;
    int[] from = new int[n];
    for (int i = 0; i < n; i++) {
      from[i] = i;
    }
    int[] to = new int[n];
    for (int width = 1; width < n && width > 0; width *= 2) {
      for (int low = 0; low < n; low += 2 * width) {
        merge(key, from, to, low, Math.min(low + width, n), Math.min(low + 2 * width, n));
      }
      int[] swap = from;
      from = to;
      to = swap;
    }
    return from;
  }

  private static void merge(double[] key, int[] from, int[] to, int low, int middle, int high) {
    int left = low;
    int right = middle;
    for (int i = low; i < high; i++) {
      boolean takeLeft = left < middle && (right >= high || key[from[left]] <= key[from[right]]);
      to[i] = takeLeft ? from[left++] : from[right++];
    }
  }
}
