package troupe.coordinator;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import troupe.coordinator.events.RunEvent;
import troupe.coordinator.host.EpochPlan;
import troupe.coordinator.host.Host;
import troupe.coordinator.placement.Balancer;
import troupe.coordinator.placement.ExpertId;
import troupe.coordinator.placement.Footprint;
import troupe.coordinator.placement.Moves;
import troupe.coordinator.placement.NodeInfo;
import troupe.coordinator.placement.Place;
import troupe.coordinator.placement.Placement;
import troupe.coordinator.placement.Rebalancer;
import troupe.core.config.RunConfig;

/**
 * Where owners should live in the next epoch: where they are, unless nodes have come or gone, want
 * to go, experts are told to move or some are too hot.
 */
final class PlacementWishes {
  private final RunConfig config;
  private final Footprint footprint;
  private final Rebalancer rebalancer;
  private final Map<Integer, NodeInfo> known = new HashMap<>();
  private final Set<Integer> leaving = new HashSet<>();
  private Set<Integer> present = Set.of();
  private Set<Integer> placedOver = Set.of();
  private Placement current;
  private Placement wish;

  PlacementWishes(RunConfig config) {
    this.config = config;
    this.footprint = Footprint.of(config);
    this.rebalancer = new Rebalancer(config.placement(), footprint);
  }

  /** All hosts have reported. */
  void reported(Collection<Host.Reported> reports) {
    present = reports.stream().map(Host.Reported::node).collect(Collectors.toSet());
    for (Host.Reported report : reports) {
      report.before().forEach(node -> known.putIfAbsent(node.node(), node));
      known.put(report.node(), report.info());
      if (report.leaving()) {
        leaving.add(report.node());
      }
      if (current == null) {
        // Begun under another coordinator: whoever can stay stays.
        current = report.inventory().placement();
      }
    }
  }

  /** Where everyone should live now that these nodes are there. */
  Placement placement(Collection<NodeInfo> nodes) {
    List<NodeInfo> staying = nodes.stream().filter(node -> !leaving.contains(node.node())).toList();
    List<NodeInfo> candidates = staying.isEmpty() ? List.copyOf(nodes) : staying;
    Set<Integer> numbers = candidates.stream().map(NodeInfo::node).collect(Collectors.toSet());
    Placement target = wish != null ? wish : current;
    if (target != null && numbers.equals(placedOver) && isWithin(target, numbers)) {
      return target;
    }
    return Balancer.place(config, candidates, target, rebalancer.load(), footprint);
  }

  private static boolean isWithin(Placement placement, Set<Integer> nodes) {
    return nodes.containsAll(placement.nodesOfRanks())
        && nodes.containsAll(placement.nodesOfExperts());
  }

  /** An epoch begins; returns who lives elsewhere now, nobody at the very start. */
  List<RunEvent> begin(EpochPlan plan) {
    Moves moves = Moves.between(current, plan.placement());
    current = plan.placement();
    placedOver =
        plan.nodes().stream()
            .map(NodeInfo::node)
            .filter(node -> !leaving.contains(node))
            .collect(Collectors.toSet());
    wish = null;
    rebalancer.onMoved();
    return events(moves);
  }

  private List<RunEvent> events(Moves moves) {
    List<RunEvent> events = new ArrayList<>();
    for (Moves.ExpertMove move : moves.experts()) {
      events.add(new RunEvent.ExpertMoved(move.expert(), name(move.from()), name(move.to())));
    }
    for (Moves.RankMove move : moves.ranks()) {
      events.add(new RunEvent.RankMoved(move.rank(), name(move.from()), name(move.to())));
    }
    return events;
  }

  /** Takes in a committed step; returns why experts should move now, or {@code null}. */
  String committed(StepReport report) {
    List<NodeInfo> nodes =
        present.stream().filter(node -> !leaving.contains(node)).map(known::get).toList();
    return rebalancer
        .onStep(report.load(), current, nodes)
        .map(
            better -> {
              wish = better;
              return "load is uneven";
            })
        .orElse(null);
  }

  /**
   * An expert is to live on another node, or on another device.
   *
   * @param to the name of the node, or of a device of it
   * @return why it cannot, or {@code null}
   */
  Host.Refused move(ExpertId expert, String to, Group group) {
    List<Place> places = group.places(to);
    if (!group.hasExpert(expert)) {
      return new Host.Refused(
          "expert: " + expert + " (expected: LAYER/EXPERT of this model)",
          "metrics.jsonl names all experts in the line of each placement");
    }
    if (places.isEmpty() || leaving.contains(places.getFirst().node())) {
      return new Host.Refused(
          "node: " + to + " (expected: one of " + group.names() + ")",
          "nodes.json of the run names all nodes");
    }
    Placement base = wish != null ? wish : current;
    if (!places.contains(base.experts().get(expert))) {
      wish = base.with(expert, emptiest(places, expert.layer(), base));
    }
    return null;
  }

  /** Where fewest experts of a layer live: these compute at the same time. */
  private static Place emptiest(List<Place> places, int layer, Placement placement) {
    return places.stream()
        .min(
            Comparator.comparingLong(
                place ->
                    placement.experts().entrySet().stream()
                        .filter(home -> home.getKey().layer() == layer)
                        .filter(home -> home.getValue().equals(place))
                        .count()))
        .orElseThrow();
  }

  /** A node wants to go; returns whether that is news. */
  boolean leaving(int node) {
    return leaving.add(node);
  }

  /** The nodes that want to go and have nothing any more. */
  List<Integer> mayGo(Group group) {
    return group.plan().nodes().stream()
        .map(NodeInfo::node)
        .filter(node -> leaving.contains(node) && group.isEmpty(node))
        .toList();
  }

  boolean allLeave() {
    return !present.isEmpty() && leaving.containsAll(present);
  }

  String leavingNames() {
    return leaving.stream()
        .filter(present::contains)
        .map(this::name)
        .sorted()
        .collect(Collectors.joining(", "));
  }

  /** What people call a place, whose node may be gone. */
  private String name(Place place) {
    return known.containsKey(place.node())
        ? known.get(place.node()).deviceName(place.device())
        : name(place.node());
  }

  /** What people call a node, which may be gone. */
  private String name(int node) {
    return known.containsKey(node) ? known.get(node).name() : "node " + node;
  }
}
