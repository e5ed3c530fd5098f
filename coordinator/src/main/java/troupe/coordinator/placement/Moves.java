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
  /** An expert and the numbers of its nodes. */
  public record ExpertMove(ExpertId expert, int from, int to) {}

  /** A rank and the numbers of its nodes. */
  public record RankMove(int rank, int from, int to) {}

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
      for (Map.Entry<ExpertId, Integer> entry : after.experts().entrySet()) {
        int from = before.experts().get(entry.getKey());
        if (from != entry.getValue()) {
          experts.add(new ExpertMove(entry.getKey(), from, entry.getValue()));
        }
      }
      for (int rank = 0; rank < after.ranks().size(); rank++) {
        if (before.nodeOfRank(rank) != after.nodeOfRank(rank)) {
          ranks.add(new RankMove(rank, before.nodeOfRank(rank), after.nodeOfRank(rank)));
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
