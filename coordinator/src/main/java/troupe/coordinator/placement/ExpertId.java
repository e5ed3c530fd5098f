package troupe.coordinator.placement;

import java.util.Comparator;

/** An expert of a layer. */
public record ExpertId(int layer, int expert) implements Comparable<ExpertId> {
  private static final Comparator<ExpertId> ORDER =
      Comparator.comparingInt(ExpertId::layer).thenComparingInt(ExpertId::expert);

  @Override
  public int compareTo(ExpertId other) {
    return ORDER.compare(this, other);
  }

  @Override
  public String toString() {
    return layer + "/" + expert;
  }
}
