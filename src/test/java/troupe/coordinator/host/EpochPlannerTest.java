package troupe.coordinator.host;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.random.RandomGenerator;
import org.junit.jupiter.api.Test;
import troupe.coordinator.placement.Balancer;
import troupe.coordinator.placement.ExpertId;
import troupe.coordinator.placement.Footprint;
import troupe.coordinator.placement.NodeInfo;
import troupe.coordinator.placement.Place;
import troupe.coordinator.placement.Placement;
import troupe.coordinator.placement.RandomCluster;
import troupe.core.config.RunConfig;

class EpochPlannerTest {
  private static final int CLUSTERS = 150;
  private static final long LATEST = 6;
  private static final Footprint ANY = new Footprint(0, 0);

  @Test
  void shouldGoOnFromTheLatestStepThatIsWholeAndNameWhoHasIt() {
    int[] fromDisk = {0};
    int[] fromSeed = {0};
    for (long seed = 0; seed < CLUSTERS; seed++) {
      RandomCluster cluster = new RandomCluster(seed);
      RunConfig config = cluster.config();
      Map<NodeInfo, Inventory> reported = inventories(cluster);
      Placement placement = Balancer.place(config, cluster.nodes(), null, Map.of(), ANY);
      EpochPlan plan = EpochPlanner.plan(config, 3, reported, placement);
      String at = "seed " + seed;
      assertEquals(3, plan.epoch(), at);
      assertEquals(reported.size(), plan.nodes().size(), at);
      assertEquals(latestWholeStep(config, reported), plan.step(), at);
      checkSources(config, reported, plan, at);
      fromDisk[0] += reported.values().stream().anyMatch(i -> i.diskStep() == plan.step()) ? 1 : 0;
      fromSeed[0] += plan.step() == 0 ? 1 : 0;
      List<NodeInfo> shuffled = new ArrayList<>(reported.keySet());
      Collections.shuffle(shuffled, new Random(seed));
      Map<NodeInfo, Inventory> reordered = new LinkedHashMap<>();
      shuffled.forEach(node -> reordered.put(node, reported.get(node)));
      assertEquals(plan, EpochPlanner.plan(config, 3, reordered, placement), at);
    }
    assertTrue(fromDisk[0] > 0 && fromSeed[0] > 0 && fromDisk[0] + fromSeed[0] < CLUSTERS);
  }

  /** From the top down, step by step: no shortcuts. */
  private static long latestWholeStep(RunConfig config, Map<NodeInfo, Inventory> reported) {
    for (long step = LATEST; step > 0; step--) {
      long at = step;
      if (shards(config).stream()
          .allMatch(shard -> reported.values().stream().anyMatch(one -> one.has(shard, at)))) {
        return step;
      }
    }
    return 0;
  }

  private static void checkSources(
      RunConfig config, Map<NodeInfo, Inventory> reported, EpochPlan plan, String at) {
    Map<Integer, Inventory> byNumber = new HashMap<>();
    reported.forEach((node, inventory) -> byNumber.put(node.node(), inventory));
    for (ShardId shard : shards(config)) {
      boolean isLacked =
          owners(plan.placement(), shard).stream()
              .anyMatch(owner -> !byNumber.get(owner).has(shard, plan.step()));
      boolean isHeld = byNumber.values().stream().anyMatch(one -> one.has(shard, plan.step()));
      assertTrue(isHeld || plan.step() == 0, at + ": " + shard);
      assertEquals(isLacked && isHeld, plan.sources().containsKey(shard), at + ": " + shard);
    }
    plan.sources()
        .forEach(
            (shard, source) ->
                assertTrue(byNumber.get(source).has(shard, plan.step()), at + ": " + shard));
  }

  private static List<Integer> owners(Placement placement, ShardId shard) {
    return switch (shard.kind()) {
      case TRUNK -> List.copyOf(placement.nodesOfRanks());
      case MOMENTS -> List.of(placement.nodeOfRank(shard.index()));
      case EXPERT -> List.of(placement.nodeOfExpert(shard.layer(), shard.index()));
    };
  }

  private static List<ShardId> shards(RunConfig config) {
    List<ShardId> shards = new ArrayList<>(List.of(ShardId.trunk()));
    for (int rank = 0; rank < config.train().ranks(); rank++) {
      shards.add(ShardId.moments(rank));
    }
    ExpertId.all(config).forEach(expert -> shards.add(ShardId.expert(expert)));
    return shards;
  }

  /** Some steps are held by many, some in part, some on disk, some by nobody. */
  private static Map<NodeInfo, Inventory> inventories(RandomCluster cluster) {
    RandomGenerator random = cluster.random();
    double[] share = random.doubles(LATEST + 1).toArray();
    List<Map<ShardId, SortedSet<Long>>> held = new ArrayList<>();
    cluster.nodes().forEach(node -> held.add(new HashMap<>()));
    for (ShardId shard : shards(cluster.config())) {
      for (long step = 0; step <= LATEST; step++) {
        boolean isTorn = random.nextDouble() < 0.1 * share[(int) step];
        for (int copy = 0; copy < 2 && !isTorn; copy++) {
          Map<ShardId, SortedSet<Long>> node = held.get(random.nextInt(held.size()));
          node.computeIfAbsent(shard, id -> new TreeSet<>()).add(step);
        }
      }
    }
    Map<NodeInfo, Inventory> inventories = new HashMap<>();
    for (int n = 0; n < held.size(); n++) {
      long disk = random.nextInt(8) == 0 ? random.nextLong(-1, LATEST + 1) : -1;
      inventories.put(
          cluster.nodes().get(n), new Inventory(new TreeMap<>(held.get(n)), disk, null));
    }
    return inventories;
  }

  private static final NodeInfo A = node(1, "a", "x");
  private static final NodeInfo B = node(2, "b", "y");
  private static final NodeInfo C = node(3, "c", "x");
  private static final NodeInfo D = node(4, "d", "y");
  private static final RunConfig ONE = RandomCluster.config(1, 2, 1);

  @Test
  void shouldStartFromTheSeedWhenNobodyHasAnything() {
    EpochPlan plan =
        EpochPlanner.plan(ONE, 1, Map.of(A, inventory(-1), B, inventory(-1)), on(A, A, B));
    assertEquals(0, plan.step());
    assertEquals(Map.of(), plan.sources());
    assertEquals(List.of(A, B), plan.nodes());
  }

  @Test
  void shouldNeverMixSteps() {
    // At 9 an expert is missing, at 8 the moments are: 5 is the last whole one.
    SortedMap<ShardId, SortedSet<Long>> some = new TreeMap<>();
    some.put(ShardId.trunk(), new TreeSet<>(List.of(5L, 8L, 9L)));
    some.put(ShardId.moments(0), new TreeSet<>(List.of(5L, 9L)));
    some.put(expert(0), new TreeSet<>(List.of(5L, 8L, 9L)));
    SortedMap<ShardId, SortedSet<Long>> other = new TreeMap<>();
    other.put(expert(1), new TreeSet<>(List.of(5L, 8L)));
    EpochPlan plan =
        EpochPlanner.plan(
            ONE,
            2,
            Map.of(A, new Inventory(some, 4, null), B, new Inventory(other, -1, null)),
            on(A, A, A));
    assertEquals(5, plan.step());
    assertEquals(Map.of(expert(1), 2), plan.sources());
  }

  @Test
  void shouldPreferTheSameMachineThenTheLeastAskedThenMemory() {
    Map<NodeInfo, Inventory> reported =
        Map.of(A, inventory(-1), B, inventory(7), C, inventory(7), D, inventory(-1, 7));
    // All that A needs is on its own machine, at C.
    assertEquals(
        Map.of(ShardId.trunk(), 3, ShardId.moments(0), 3, expert(0), 3, expert(1), 3),
        EpochPlanner.plan(ONE, 2, reported, on(A, A, A)).sources());
    // Elsewhere the work is shared, memory first.
    NodeInfo far = node(1, "a", "z");
    Map<NodeInfo, Inventory> fromAfar =
        Map.of(far, inventory(-1), B, inventory(7), D, inventory(-1, 7));
    assertEquals(
        Map.of(ShardId.trunk(), 4, ShardId.moments(0), 2, expert(0), 4, expert(1), 2),
        EpochPlanner.plan(ONE, 2, fromAfar, on(far, far, far)).sources());
  }

  @Test
  void shouldSendTheTrunkToEveryNodeThatGetsARank() {
    RunConfig config = RandomCluster.config(1, 2, 2);
    Placement placement =
        new Placement(on(A, A, A).experts(), List.of(new Place(1, 0), new Place(2, 0)));
    EpochPlan plan =
        EpochPlanner.plan(config, 2, Map.of(A, inventory(7), B, inventory(-1)), placement);
    assertEquals(Map.of(ShardId.trunk(), 1, ShardId.moments(1), 1), plan.sources());
  }

  @Test
  void shouldRefuseOwnersThatAreNotThere() {
    assertThrows(
        IllegalArgumentException.class,
        () -> EpochPlanner.plan(ONE, 1, Map.of(A, inventory(-1)), on(A, A, B)));
  }

  private static ShardId expert(int expert) {
    return ShardId.expert(new ExpertId(0, expert));
  }

  private static Inventory inventory(long disk, long... inMemory) {
    SortedMap<ShardId, SortedSet<Long>> held = new TreeMap<>();
    for (long step : inMemory) {
      shards(ONE).forEach(shard -> held.put(shard, new TreeSet<>(List.of(step))));
    }
    return new Inventory(held, disk, null);
  }

  private static Placement on(NodeInfo rank, NodeInfo first, NodeInfo second) {
    SortedMap<ExpertId, Place> experts = new TreeMap<>();
    experts.put(new ExpertId(0, 0), new Place(first.node(), 0));
    experts.put(new ExpertId(0, 1), new Place(second.node(), 0));
    return new Placement(experts, List.of(new Place(rank.node(), 0)));
  }

  private static NodeInfo node(int number, String name, String machine) {
    return new NodeInfo(number, name, "h:1", 1, "", machine, "", "cpu", List.of(0L), 2);
  }
}
