package troupe.coordinator.node;

import troupe.coordinator.events.Outcome;

/** How the part of a node in a run ended. */
public sealed interface NodeEnd {
  /** The run is over. */
  record Finished(Outcome outcome) implements NodeEnd {}

  /** The node was asked to go and has handed over what it had; the run goes on. */
  record Left() implements NodeEnd {}

  /** The others go on without this node. */
  record Expelled(String cause) implements NodeEnd {}
}
