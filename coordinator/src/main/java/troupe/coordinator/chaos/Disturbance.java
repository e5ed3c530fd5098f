package troupe.coordinator.chaos;

import java.time.Duration;
import java.util.Locale;

/**
 * One fault of a plan. Whom it hits is drawn here and looked up when it happens: who has the
 * coordinator then is known to nobody before.
 *
 * @param pick any number; taken modulo the candidates, in their order
 * @param calm how long training goes on before it
 * @param length of a pause; zero for others
 */
public record Disturbance(Kind kind, int pick, Duration calm, Duration length) {
  /** What is done to the cluster. */
  public enum Kind {
    /** kill -9 of a node without the coordinator. */
    KILL_WORKER(1),
    /** kill -9 of the node with the coordinator. */
    KILL_COORDINATOR(1),
    /** kill -9 of two nodes at the same time, whichever they are. */
    KILL_TWO(2),
    /** SIGSTOP of a node without the coordinator, longer than others wait for it; then SIGCONT. */
    PAUSE_WORKER(1),
    /** The same to the node with the coordinator, which wakes up as a zombie. */
    PAUSE_COORDINATOR(1),
    /** SIGTERM to any node: it hands over what it has and ends. */
    LEAVE(1),
    /** A node that died is started again. */
    REJOIN(-1),
    /** The same, but the node loses one in a hundred of the packets sent to it. */
    REJOIN_LOSSY(-1),
    /** {@code troupe move} of an expert. */
    MOVE(0),
    /** An expert throws: not done to the cluster, but asked for in the config. */
    EXPERT_THROWS(0);

    private final int deaths;

    Kind(int deaths) {
      this.deaths = deaths;
    }

    /** Nodes that are gone for good after it; negative for one that comes back. */
    int deaths() {
      return deaths;
    }

    /** Whether the node hit is paused rather than killed. */
    boolean isPause() {
      return this == PAUSE_WORKER || this == PAUSE_COORDINATOR;
    }

    /** Whether training goes on until the change, so that only the change itself costs time. */
    boolean isOrderly() {
      return deaths < 0 || this == MOVE || this == LEAVE;
    }

    /** As people and verdict.json have it. */
    String words() {
      return name().toLowerCase(Locale.ROOT).replace('_', ' ');
    }
  }
}
