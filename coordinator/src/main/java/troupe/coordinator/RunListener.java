package troupe.coordinator;

import troupe.coordinator.events.Outcome;
import troupe.coordinator.events.RunEvent;
import troupe.coordinator.host.EpochPlan;

/**
 * Told what happens in a run, in order, on the coordinator's thread; each call holds up the next
 * step, so it must be quick.
 */
public interface RunListener {
  /** A step is committed. */
  default void committed(StepReport report) {}

  /** A validation is done: mean cross entropy in nats a token. */
  default void evaluated(long step, double loss, long tokens) {}

  /** A text was generated: the prompt's tokens and what follows. */
  default void generated(int[] tokens) {}

  /** Something a user wants to know, such as a skipped checkpoint. One line. */
  default void notice(String line) {}

  /**
   * Everybody works in a new epoch and goes on from its step; what was told of later steps is told
   * again. Called before anything else, too.
   *
   * @param coordinator the name of the node that decides
   */
  default void epochBegan(EpochPlan plan, String coordinator) {}

  /** Something happened beside the steps. */
  default void happened(RunEvent event) {}

  /** The coordinator goes to another node: nothing more is told here. */
  default void handedOver() {}

  /** The run is over. Called once, last. */
  void finished(Outcome outcome);
}
