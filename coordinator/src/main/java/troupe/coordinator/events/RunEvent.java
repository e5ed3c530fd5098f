package troupe.coordinator.events;

import java.util.List;
import troupe.coordinator.placement.ExpertId;

/**
 * Something that happened to a run beside its steps. Nodes, and devices where a node has several,
 * go by their names.
 */
public sealed interface RunEvent {
  /** Training is about to begin, or to go on, on these nodes after {@code step}. */
  record Began(long step, List<String> nodes) implements RunEvent {}

  /** A node is there. */
  record Joined(String node, String address) implements RunEvent {}

  /** Nothing is heard of a node. */
  record Suspected(String node) implements RunEvent {}

  /** A suspected node is heard of again. */
  record Reachable(String node) implements RunEvent {}

  /** A node cannot go on, or does not answer: the others go on without it. */
  record NodeFailed(String node, String cause) implements RunEvent {}

  /** A node has left or was given up. */
  record Removed(String node, String cause) implements RunEvent {}

  /** Another node decides from now on. */
  record CoordinatorMoved(String node) implements RunEvent {}

  /** Everybody works in a new epoch. */
  record EpochBegan(int epoch, String cause, long step) implements RunEvent {}

  /** Steps after {@code step} are to be done again. */
  record RolledBack(long step, long from) implements RunEvent {}

  /** An expert lives on another node, or on another device of its node. */
  record ExpertMoved(ExpertId expert, String from, String to) implements RunEvent {}

  /** A rank lives on another node, or on another device of its node. */
  record RankMoved(int rank, String from, String to) implements RunEvent {}

  /** The first step after an epoch began is committed. */
  record Recovered(long step, long replayedSteps, double lostSeconds) implements RunEvent {}

  /** A router or expert was restarted by its supervisor. */
  record Restarted(String who, int incarnation, String cause) implements RunEvent {}

  /** Someone did not answer in time. */
  record Late(String who, double afterSeconds) implements RunEvent {}
}
