package troupe.coordinator.events;

import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;

/** Many moves as one line: a node that is lost or joins moves dozens of owners. For one thread. */
public final class MoveSummary {
  private final Map<String, Integer> ways = new TreeMap<>();
  private int experts;
  private int ranks;
  private RunEvent only;

  /** Takes in an event; returns whether it is a move. */
  public boolean add(RunEvent event) {
    switch (event) {
      case RunEvent.ExpertMoved moved -> {
        experts++;
        ways.merge(moved.from() + " to " + moved.to(), 1, Integer::sum);
      }
      case RunEvent.RankMoved moved -> {
        ranks++;
        ways.merge(moved.from() + " to " + moved.to(), 1, Integer::sum);
      }
      default -> {
        return false;
      }
    }
    only = event;
    return true;
  }

  /** A line on all moves since the last time; empty if there were none. */
  public String take() {
    int moves = experts + ranks;
    if (moves == 0) {
      return "";
    }
    String line =
        moves == 1
            ? EventLine.of(only)
            : "%d experts and %d ranks moved: %s"
                .formatted(
                    experts,
                    ranks,
                    ways.entrySet().stream()
                        .map(way -> way.getValue() + " from " + way.getKey())
                        .collect(Collectors.joining(", ")));
    ways.clear();
    experts = 0;
    ranks = 0;
    return line;
  }
}
