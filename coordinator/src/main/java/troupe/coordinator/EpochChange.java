package troupe.coordinator;

import akka.actor.typed.ActorRef;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Collectors;
import troupe.coordinator.host.EpochPlan;
import troupe.coordinator.host.Host;
import troupe.coordinator.host.Inventory;
import troupe.coordinator.placement.NodeInfo;

/** The way into an epoch: who was asked, what they have, who is ready. */
final class EpochChange {
  private final int epoch;
  private final String cause;
  private final boolean planned;
  private final boolean withDisk;
  private final Set<ActorRef<Host.Command>> asked;
  private final ActorRef<Host.Event> replyTo;
  private final Set<ActorRef<Host.Command>> silent;
  private final SortedMap<Integer, Host.Reported> reports = new TreeMap<>();
  private final Set<Integer> unprepared = new HashSet<>();
  private final Map<Integer, Host.Preparing> waiting = new HashMap<>();
  private EpochPlan plan;

  /**
   * Hosts are about to be asked, and will answer to {@code replyTo}.
   *
   * @param planned whether no work is lost by it
   */
  EpochChange(
      int epoch,
      String cause,
      boolean planned,
      boolean withDisk,
      Set<ActorRef<Host.Command>> hosts,
      ActorRef<Host.Event> replyTo) {
    this.epoch = epoch;
    this.cause = cause;
    this.planned = planned;
    this.withDisk = withDisk;
    this.asked = hosts;
    this.replyTo = replyTo;
    this.silent = new HashSet<>(hosts);
  }

  /** Asks all to report, or to become what the plan says once there is one; may be repeated. */
  void ask() {
    if (plan == null) {
      asked.forEach(host -> host.tell(new Host.Report(epoch, withDisk, replyTo)));
    } else {
      hosts().values().forEach(host -> host.tell(new Host.Prepare(plan, hosts())));
    }
  }

  int epoch() {
    return epoch;
  }

  String cause() {
    return cause;
  }

  boolean isPlanned() {
    return planned;
  }

  boolean withDisk() {
    return withDisk;
  }

  /** Whether this is an answer that has not come before. */
  boolean isAwaited(Host.Event event) {
    return switch (event) {
      case Host.Reported reported -> silent.contains(reported.host());
      case Host.Prepared prepared -> unprepared.contains(prepared.node());
      default -> false;
    };
  }

  /** Whether a node waits for something else than the last time it was heard. */
  boolean isNews(Host.Preparing preparing) {
    Host.Preparing before = waiting.put(preparing.node(), preparing);
    return !preparing.equals(before);
  }

  /** Takes a report; returns whether it was the last. Repeated ones are not. */
  boolean onReported(Host.Reported reported) {
    boolean isNew = silent.remove(reported.host());
    if (isNew) {
      reports.put(reported.node(), reported);
    }
    return isNew && silent.isEmpty();
  }

  /** Everyone who was asked, once all have reported. */
  SortedMap<Integer, Host.Reported> reports() {
    return reports;
  }

  Map<NodeInfo, Inventory> inventories() {
    Map<NodeInfo, Inventory> inventories = new LinkedHashMap<>();
    reports.values().forEach(report -> inventories.put(report.info(), report.inventory()));
    return inventories;
  }

  /** The newest step that anybody has something of. */
  long newestStep() {
    return reports.values().stream()
        .flatMap(report -> report.inventory().held().values().stream())
        .mapToLong(steps -> steps.isEmpty() ? 0 : steps.last())
        .max()
        .orElse(0);
  }

  /** How long ago somebody last heard from a coordinator. */
  long quietMs() {
    return reports.values().stream()
        .filter(report -> report.inventory().placement() != null)
        .mapToLong(Host.Reported::quietMs)
        .min()
        .orElse(0);
  }

  /** Who took part before and does not any more, by name. */
  List<String> lost() {
    return reports.values().stream()
        .flatMap(report -> report.before().stream())
        .filter(node -> !reports.containsKey(node.node()))
        .map(NodeInfo::name)
        .distinct()
        .sorted()
        .toList();
  }

  /** Whether training has begun, under this coordinator or another. */
  boolean hasBegun() {
    return reports.values().stream().anyMatch(report -> report.inventory().placement() != null);
  }

  /** The step of the newest checkpoint that some node can read, 0 if there is none. */
  long diskStep() {
    return reports.values().stream()
        .mapToLong(report -> report.inventory().diskStep())
        .reduce(0, Math::max);
  }

  /** Hosts by node. */
  Map<Integer, ActorRef<Host.Command>> hosts() {
    Map<Integer, ActorRef<Host.Command>> hosts = new TreeMap<>();
    reports.forEach((node, report) -> hosts.put(node, report.host()));
    return hosts;
  }

  /** All have reported: this is what they are to become. */
  void planned(EpochPlan decided) {
    plan = decided;
    unprepared.addAll(reports.keySet());
  }

  EpochPlan plan() {
    return plan;
  }

  /** A node is ready; returns whether it was the last. */
  boolean onPrepared(int node) {
    return unprepared.remove(node) && unprepared.isEmpty();
  }

  /**
   * Whose fault it is that this goes no further: whoever has not reported; then whoever is not
   * ready and waits for nobody; then the one node that most of the others wait for. Empty if nobody
   * can tell.
   */
  Set<ActorRef<Host.Command>> late() {
    if (plan == null) {
      return Set.copyOf(silent);
    }
    Map<Integer, Integer> votes = new HashMap<>();
    Set<Integer> stuck = new HashSet<>();
    for (int node : unprepared) {
      List<Integer> awaited = waiting.containsKey(node) ? waiting.get(node).nodes() : List.of();
      awaited.forEach(other -> votes.merge(other, 1, Integer::sum));
      if (awaited.isEmpty()) {
        stuck.add(node);
      }
    }
    if (stuck.isEmpty()) {
      int most = votes.values().stream().max(Integer::compare).orElse(0);
      votes.forEach((node, count) -> stuck.addAll(count == most ? Set.of(node) : Set.of()));
      if (stuck.size() > 1) {
        return Set.of();
      }
    }
    return stuck.stream().map(node -> reports.get(node).host()).collect(Collectors.toSet());
  }

  /** What people call the node of a host that was asked. */
  String name(ActorRef<Host.Command> host) {
    return reports.values().stream()
        .filter(report -> report.host().equals(host))
        .map(report -> report.info().name())
        .findFirst()
        .orElseGet(() -> "node at " + host.path().address());
  }

  /** Who has not answered yet, for people. */
  String missing() {
    if (plan == null) {
      return silent.stream()
          .map(host -> "node at " + host.path().address())
          .sorted()
          .collect(Collectors.joining(", "));
    }
    return unprepared.stream()
        .map(
            node ->
                "node="
                    + reports.get(node).info().name()
                    + (waiting.containsKey(node)
                        ? " (which waits for " + waiting.get(node).waitingFor() + ")"
                        : ""))
        .sorted()
        .collect(Collectors.joining(", "));
  }
}
