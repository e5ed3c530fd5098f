package troupe.coordinator.metrics;

import java.util.ArrayList;
import java.util.List;

/**
 * A curve with few points. Of every bucket it keeps the smallest and the largest value at their
 * steps, so that no spike is lost however long the run was; a value that is not finite stays as a
 * gap.
 */
final class Curve {
  /** A value, or a gap where it is NaN. */
  record Point(long step, double value) {}

  private final StepBuckets buckets;
  private final List<Point> points = new ArrayList<>();
  private int bucket = -1;
  private Point smallest;
  private Point largest;
  private Point gap;

  Curve(StepBuckets buckets) {
    this.buckets = buckets;
  }

  void add(long step, double value) {
    if (buckets.of(step) != bucket) {
      flush();
      bucket = buckets.of(step);
    }
    Point point = new Point(step, value);
    if (!Double.isFinite(value)) {
      gap = gap == null ? new Point(step, Double.NaN) : gap;
    } else {
      smallest = smallest == null || value < smallest.value ? point : smallest;
      largest = largest == null || value > largest.value ? point : largest;
    }
  }

  /** The points so far, in the order of their steps within each bucket. */
  List<Point> points() {
    flush();
    return List.copyOf(points);
  }

  private void flush() {
    List<Point> kept = new ArrayList<>();
    if (smallest != null) {
      kept.add(smallest);
      if (!largest.equals(smallest)) {
        kept.add(largest);
      }
    }
    if (gap != null) {
      kept.add(gap);
    }
    kept.sort((a, b) -> Long.compare(a.step, b.step));
    points.addAll(kept);
    smallest = null;
    largest = null;
    gap = null;
  }
}
