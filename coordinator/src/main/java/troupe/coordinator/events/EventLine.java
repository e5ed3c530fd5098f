package troupe.coordinator.events;

import java.util.Locale;

/** Events as a person reads them, one line each. */
final class EventLine {
  private EventLine() {}

  static String of(RunEvent event) {
    String line =
        switch (event) {
          case RunEvent.Began e -> began(e);
          case RunEvent.Joined e -> format("%s joined from %s", e.node(), e.address());
          case RunEvent.Suspected e -> format("%s: nothing is heard of it", e.node());
          case RunEvent.Reachable e -> format("%s is heard of again", e.node());
          case RunEvent.NodeFailed e ->
              format("%s failed, the others go on without it: %s", e.node(), e.cause());
          case RunEvent.Removed e -> format("%s is gone: %s", e.node(), e.cause());
          case RunEvent.CoordinatorMoved e -> format("%s coordinates from now on", e.node());
          case RunEvent.EpochBegan e ->
              format("epoch %d begins after step %,d: %s", e.epoch(), e.step(), e.cause());
          case RunEvent.RolledBack e ->
              format("rolled back from step %,d to step %,d", e.from(), e.step());
          case RunEvent.ExpertMoved e ->
              format("expert %s moved from %s to %s", e.expert(), e.from(), e.to());
          case RunEvent.RankMoved e ->
              format("rank %d moved from %s to %s", e.rank(), e.from(), e.to());
          case RunEvent.Recovered e -> recovered(e);
          case RunEvent.Restarted e ->
              format("%s restarted, incarnation %d: %s", e.who(), e.incarnation(), e.cause());
          case RunEvent.Late e -> late(e);
        };
    // Causes may be messages of exceptions, which may have several lines.
    return line.strip().replaceAll("\\s*\\R\\s*", "; ");
  }

  private static String began(RunEvent.Began event) {
    String nodes = String.join(", ", event.nodes());
    return event.step() == 0
        ? "training begins on " + nodes
        : format("training goes on after step %,d on %s", event.step(), nodes);
  }

  private static String recovered(RunEvent.Recovered event) {
    return format(
        "step %,d is done: %,d steps replayed, %.1f s lost",
        event.step(), event.replayedSteps(), event.lostSeconds());
  }

  private static String late(RunEvent.Late event) {
    return format("%s is late: no answer for %.1f s", event.who(), event.afterSeconds());
  }

  private static String format(String pattern, Object... values) {
    return String.format(Locale.ROOT, pattern, values);
  }
}
