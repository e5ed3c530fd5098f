package troupe.coordinator.host;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.OptionalInt;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import troupe.coordinator.placement.ExpertId;
import troupe.coordinator.placement.Place;
import troupe.coordinator.placement.Placement;
import troupe.transport.Phase;

/** Who owns a shard, and who sends it. */
final class EpochPlanTest {
  private static final ExpertId EXPERT = new ExpertId(1, 2);

  private final TreeMap<ExpertId, Place> experts = new TreeMap<>();
  private final TreeMap<ShardId, Integer> sources = new TreeMap<>();

  @Test
  void shouldSayWhoOwnsAndWhoSends() {
    experts.put(EXPERT, new Place(30, 1));
    sources.put(ShardId.expert(EXPERT), 10);
    EpochPlan plan =
        new EpochPlan(
            4,
            9,
            List.of(),
            new Placement(experts, List.of(new Place(20, 0), new Place(10, 0))),
            sources);

    assertEquals(20, plan.owner(ShardId.trunk()));
    assertEquals(10, plan.owner(ShardId.moments(1)));
    assertEquals(30, plan.owner(ShardId.expert(EXPERT)));
    assertEquals(OptionalInt.of(30), plan.sender(Phase.REPLICA, ShardId.expert(EXPERT)));
    assertEquals(OptionalInt.of(30), plan.sender(Phase.CHECKPOINT, ShardId.expert(EXPERT)));
    assertEquals(OptionalInt.of(10), plan.sender(Phase.RESTORE, ShardId.expert(EXPERT)));
    assertEquals(OptionalInt.empty(), plan.sender(Phase.RESTORE, ShardId.trunk()));
  }
}
