package troupe.coordinator;

import java.util.HashSet;
import java.util.Set;

/**
 * When to copy the state to other nodes, so that a lost node never costs more than so many steps:
 * copies are begun early enough to be there in time, and steps wait if they are not.
 */
final class Replication {
  private static final long NONE = -1;

  private final int every;
  private final Set<Integer> awaited = new HashSet<>();
  private boolean enabled;
  private boolean asked;
  private long replicated;
  private long copying = NONE;
  private long lag;

  /**
   * Copies in good time for {@code every} steps.
   *
   * @param every most steps between a committed step and the newest one with copies; 0 = no copies
   */
  Replication(int every) {
    this.every = every;
    this.lag = every / 2;
  }

  /**
   * An epoch begins after {@code step}: whoever lives elsewhere now has no copies yet.
   *
   * @param several whether there are nodes to copy to
   * @param secured whether everything could come back to that step without copies: from the disk or
   *     the seed
   */
  void restart(long step, boolean several, boolean secured) {
    boolean hadCopies = enabled;
    enabled = every > 0 && several;
    if (secured) {
      replicated = step;
    } else if (hadCopies) {
      replicated = Math.min(replicated, step);
    } else {
      // Nobody here knows of any: the next step waits for the first ones.
      replicated = step - every;
    }
    copying = NONE;
    awaited.clear();
    asked = enabled;
  }

  /** Whether the copies of this committed step should be made now. */
  boolean isDue(long committed) {
    return enabled
        && copying == NONE
        && (asked || committed >= replicated + Math.max(1, every - lag - 1));
  }

  /** Copies of a committed step are asked for. */
  void begin(long committed, Set<Integer> nodes) {
    copying = committed;
    asked = false;
    awaited.addAll(nodes);
  }

  /** Whether the step after this committed one has to wait for copies. */
  boolean mustWait(long committed) {
    return enabled && copying != NONE && committed + 1 - replicated > every;
  }

  /**
   * A node has its copies of a step where they belong.
   *
   * @return whether all nodes have now
   */
  boolean onReplicated(int node, long step, long committed) {
    if (step != copying || !awaited.remove(node) || !awaited.isEmpty()) {
      return false;
    }
    lag = Math.min(every, committed - step);
    replicated = step;
    copying = NONE;
    return true;
  }

  /** The newest step that all copies are of. */
  long replicated() {
    return replicated;
  }

  /** What is not there yet, for a message to the user. */
  String missing(Group group) {
    return "copies of " + String.join(", ", awaited.stream().map(group::name).sorted().toList());
  }
}
