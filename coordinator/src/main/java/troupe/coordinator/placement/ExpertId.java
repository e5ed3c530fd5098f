package troupe.coordinator.placement;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import troupe.core.config.RunConfig;

/** An expert of a layer. */
public record ExpertId(int layer, int expert) implements Comparable<ExpertId> {
  private static final Comparator<ExpertId> ORDER =
      Comparator.comparingInt(ExpertId::layer).thenComparingInt(ExpertId::expert);

  /** All experts of a run, in canonical order. */
  public static List<ExpertId> all(RunConfig config) {
    List<ExpertId> all = new ArrayList<>();
    for (int layer = 0; layer < config.model().layers(); layer++) {
      for (int expert = 0;
          config.model().isMoe(layer) && expert < config.experts().count();
          expert++) {
        all.add(new ExpertId(layer, expert));
      }
    }
    return List.copyOf(all);
  }

  @Override
  public int compareTo(ExpertId other) {
    return ORDER.compare(this, other);
  }

  @Override
  public String toString() {
    return layer + "/" + expert;
  }
}
