package troupe.coordinator.host;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import troupe.coordinator.placement.Balancer;
import troupe.coordinator.placement.Footprint;
import troupe.coordinator.placement.NodeInfo;
import troupe.coordinator.placement.Place;
import troupe.coordinator.placement.Placement;
import troupe.coordinator.placement.RandomCluster;
import troupe.core.config.RunConfig.Replicate;

class ReplicaRingTest {
  @Test
  void shouldKeepAsManyCopiesAsAMajorityCanLose() {
    int[] expected = {0, 0, 0, 1, 1, 2, 2, 2, 2};
    for (int nodes = 1; nodes < expected.length; nodes++) {
      assertEquals(expected[nodes], ReplicaRing.copies(new Replicate(10, 0), nodes), "" + nodes);
    }
    assertEquals(1, ReplicaRing.copies(new Replicate(10, 1), 2));
    assertEquals(2, ReplicaRing.copies(new Replicate(10, 5), 3));
    assertEquals(0, ReplicaRing.copies(new Replicate(0, 5), 3));
  }

  @Test
  void shouldCopyToTheNextNodesByNumber() {
    ReplicaRing ring = ring(2, List.of(10), 30, 10, 20, 40);
    assertEquals(List.of(20, 30), ring.targets(10));
    assertEquals(List.of(40, 10), ring.targets(30));
    assertEquals(List.of(10, 20), ring.targets(40));
    assertThrows(IllegalArgumentException.class, () -> ring.targets(5));
  }

  @Test
  void shouldSendTheTrunkOnlyWhereRanksAreFew() {
    ReplicaRing few = ring(2, List.of(20, 40, 20), 10, 20, 30, 40);
    assertEquals(List.of(30), few.trunkTargets(20));
    assertEquals(List.of(), few.trunkTargets(40));
    assertEquals(List.of(), few.trunkTargets(10));
    ReplicaRing many = ring(2, List.of(20, 40, 30), 10, 20, 30, 40);
    assertEquals(List.of(), many.trunkTargets(20));
    ReplicaRing one = ring(2, List.of(40), 10, 20, 30, 40);
    assertEquals(List.of(10, 20), one.trunkTargets(40));
  }

  /** Whoever gets a shard confirms it to the sender that the plan names. */
  @Test
  void shouldSendTheTrunkFromItsOwner() {
    ReplicaRing ring = ring(2, List.of(40, 20), 10, 20, 30, 40);
    assertEquals(List.of(10), ring.trunkTargets(40));
    assertEquals(List.of(), ring.trunkTargets(20));
  }

  @Test
  void shouldHaveACopyOfEverythingWhereverAsManyNodesDieAsThereAreCopies() {
    for (long seed = 0; seed < 200; seed++) {
      RandomCluster cluster = new RandomCluster(seed);
      Placement placement =
          Balancer.place(cluster.config(), cluster.nodes(), null, Map.of(), new Footprint(0, 0));
      EpochPlan plan = new EpochPlan(1, 0, cluster.nodes(), placement, new TreeMap<>());
      ReplicaRing ring = new ReplicaRing(plan, new Replicate(10, 0));
      int copies = ReplicaRing.copies(new Replicate(10, 0), cluster.nodes().size());
      Set<Integer> trunk = new HashSet<>(placement.nodesOfRanks());
      for (NodeInfo node : cluster.nodes()) {
        List<Integer> targets = new ArrayList<>(ring.targets(node.node()));
        assertEquals(copies, Set.copyOf(targets).size(), "seed " + seed);
        assertTrue(!targets.contains(node.node()), "seed " + seed);
        if (placement.nodesOfRanks().contains(node.node())) {
          trunk.addAll(ring.trunkTargets(node.node()));
        }
      }
      assertTrue(trunk.size() > copies, "seed " + seed + ": trunk on " + trunk);
    }
  }

  private static ReplicaRing ring(int copies, List<Integer> ranks, int... numbers) {
    List<NodeInfo> nodes = new ArrayList<>();
    for (int number : numbers) {
      nodes.add(RandomCluster.node(number, "n" + number, 1, 0));
    }
    Placement placement =
        new Placement(new TreeMap<>(), ranks.stream().map(node -> new Place(node, 0)).toList());
    EpochPlan plan = new EpochPlan(1, 0, nodes, placement, new TreeMap<>());
    return new ReplicaRing(plan, new Replicate(10, copies));
  }
}
