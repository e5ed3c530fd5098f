package troupe.coordinator;

import akka.actor.typed.ActorRef;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.IntStream;
import troupe.coordinator.host.EpochPlan;
import troupe.coordinator.host.Host;
import troupe.coordinator.placement.ExpertId;
import troupe.coordinator.placement.NodeInfo;
import troupe.coordinator.placement.Place;
import troupe.coordinator.placement.Placement;
import troupe.expert.ExpertActor;
import troupe.router.RouterActor;

/** Everyone who takes part in an epoch, and how to reach them: always by their hosts. */
final class Group {
  private final EpochPlan plan;
  private final Map<Integer, ActorRef<Host.Command>> hosts;
  private final Map<Integer, String> names = new TreeMap<>();
  private final List<ActorRef<Host.Command>> withRouters;
  private final List<ActorRef<Host.Command>> withExperts;

  Group(EpochPlan plan, Map<Integer, ActorRef<Host.Command>> hosts) {
    this.plan = plan;
    this.hosts = hosts;
    plan.nodes().forEach(info -> names.put(info.node(), info.name()));
    this.withRouters = hostsOf(plan.placement().nodesOfRanks());
    this.withExperts = hostsOf(plan.placement().nodesOfExperts());
  }

  private List<ActorRef<Host.Command>> hostsOf(Set<Integer> nodes) {
    return nodes.stream().sorted().map(hosts::get).toList();
  }

  int epoch() {
    return plan.epoch();
  }

  EpochPlan plan() {
    return plan;
  }

  Placement placement() {
    return plan.placement();
  }

  Set<Integer> nodes() {
    return hosts.keySet();
  }

  ActorRef<Host.Command> host(int node) {
    return hosts.get(node);
  }

  String name(int node) {
    return names.getOrDefault(node, "node " + node);
  }

  private String name(Place place) {
    return plan.nodes().stream()
        .filter(info -> info.node() == place.node())
        .map(info -> info.deviceName(place.device()))
        .findFirst()
        .orElseGet(() -> name(place.node()));
  }

  /** The devices of the node of that name, or the one that is called so; empty if there is none. */
  List<Place> places(String name) {
    for (NodeInfo info : plan.nodes()) {
      List<Place> all =
          IntStream.range(0, info.deviceBytes().size())
              .mapToObj(device -> new Place(info.node(), device))
              .toList();
      if (info.name().equals(name)) {
        return all;
      }
      List<Place> named =
          all.stream().filter(place -> info.deviceName(place.device()).equals(name)).toList();
      if (!named.isEmpty()) {
        return named;
      }
    }
    return List.of();
  }

  List<String> nodeNames() {
    return names.values().stream().sorted().toList();
  }

  String names() {
    return String.join(", ", nodeNames());
  }

  /** Says of a rank where it lives. */
  String whereIs(int rank) {
    return "node=" + name(placement().ranks().get(rank)) + " rank=" + rank;
  }

  /** Says of an expert where it lives. */
  String whereIs(int layer, int expert) {
    return "node="
        + name(placement().experts().get(new ExpertId(layer, expert)))
        + " layer="
        + layer
        + " expert="
        + expert;
  }

  boolean isEmpty(int node) {
    return !placement().nodesOfRanks().contains(node)
        && !placement().nodesOfExperts().contains(node);
  }

  boolean hasExpert(ExpertId expert) {
    return placement().experts().containsKey(expert);
  }

  void tell(int node, Host.Command command) {
    hosts.get(node).tell(command);
  }

  void tellAll(Host.Command command) {
    hosts.values().forEach(host -> host.tell(command));
  }

  void tellRouters(RouterActor.Command command) {
    withRouters.forEach(host -> host.tell(new Host.ToRouters(epoch(), command)));
  }

  void tellRouter(int rank, RouterActor.Command command) {
    tell(placement().nodeOfRank(rank), new Host.ToRouter(epoch(), rank, command));
  }

  void tellExperts(ExpertActor.Command command) {
    withExperts.forEach(host -> host.tell(new Host.ToExperts(epoch(), command)));
  }

  void tellExpert(int layer, int expert, ExpertActor.Command command) {
    tell(
        placement().nodeOfExpert(layer, expert),
        new Host.ToExpert(epoch(), layer, expert, command));
  }
}
