package troupe.coordinator.host;

import java.util.Comparator;
import troupe.coordinator.placement.ExpertId;

/**
 * Names a piece of the state of a run, small enough to be held, moved and written as one. Its bytes
 * are a flat array of elements of the device's type:
 *
 * <pre>
 *   TRUNK           all parameters of the trunk                             | P |
 *   MOMENTS rank    moments of the slice of the trunk that the rank owns    | m | v |
 *   EXPERT l/e      parameters and moments of an expert                     | P | m | v |
 * </pre>
 *
 * @param layer the layer of an expert, else -1
 * @param index the expert, the rank, or 0
 */
public record ShardId(Kind kind, int layer, int index) implements Comparable<ShardId> {
  private static final Comparator<ShardId> ORDER =
      Comparator.comparing(ShardId::kind)
          .thenComparingInt(ShardId::layer)
          .thenComparingInt(ShardId::index);

  /** What a shard is of. The ordinal travels in frames and never changes meaning. */
  public enum Kind {
    TRUNK,
    MOMENTS,
    EXPERT
  }

  /** The trunk's parameters. */
  public static ShardId trunk() {
    return new ShardId(Kind.TRUNK, -1, 0);
  }

  /** A rank's moments. */
  public static ShardId moments(int rank) {
    return new ShardId(Kind.MOMENTS, -1, rank);
  }

  /** An expert. */
  public static ShardId expert(ExpertId expert) {
    return new ShardId(Kind.EXPERT, expert.layer(), expert.expert());
  }

  @Override
  public int compareTo(ShardId other) {
    return ORDER.compare(this, other);
  }

  @Override
  public String toString() {
    return switch (kind) {
      case TRUNK -> "trunk";
      case MOMENTS -> "moments of rank " + index;
      case EXPERT -> "expert " + layer + "/" + index;
    };
  }
}
