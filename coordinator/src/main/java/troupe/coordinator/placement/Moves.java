package troupe.coordinator.placement;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * What is different between two placements, in canonical order.
 *
 * @param experts those that live elsewhere
 * @param ranks those that live elsewhere
 */
public record Moves(List<ExpertMove> experts, List<RankMove> ranks) {
  /** An expert and its places. */
  public record ExpertMove(ExpertId expert, Place from, Place to) {}

  /** A rank and its places. */
  public record RankMove(int rank, Place from, Place to) {}

  /** Copies the lists. */
  public Moves {
    experts = List.copyOf(experts);
    ranks = List.copyOf(ranks);
  }

  /**
   * Differences between two placements of the same owners; none if there was no placement before.
   */
  public static Moves between(Placement before, Placement after) {
    List<ExpertMove> experts = new ArrayList<>();
    List<RankMove> ranks = new ArrayList<>();
    if (before != null) {
      for (Map.Entry<ExpertId, Place> entry : after.experts().entrySet()) {
        Place from = before.experts().get(entry.getKey());
        if (!from.equals(entry.getValue())) {
          experts.add(new ExpertMove(entry.getKey(), from, entry.getValue()));
        }
      }
      for (int rank = 0; rank < after.ranks().size(); rank++) {
        Place from = before.ranks().get(rank);
        if (!from.equals(after.ranks().get(rank))) {
          ranks.add(new RankMove(rank, from, after.ranks().get(rank)));
        }
      }
    }
    return new Moves(experts, ranks);
  }

  /** How many owners move. */
  public int size() {
    return experts.size() + ranks.size();
  }
}
