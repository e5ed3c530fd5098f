package troupe.coordinator.host;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import troupe.coordinator.placement.ExpertId;
import troupe.coordinator.placement.NodeInfo;
import troupe.coordinator.placement.Place;
import troupe.coordinator.placement.Placement;
import troupe.core.config.RunConfig.Replicate;
import troupe.transport.Phase;

class ReceiptBookTest {
  private static final int EPOCH = 3;

  /** Nodes 10, 20 and 30, each of which sends its copies to the next. */
  private final ReceiptBook book = new ReceiptBook(plan(), 20, new Replicate(10, 1));

  private static EpochPlan plan() {
    TreeMap<ExpertId, Place> experts =
        new TreeMap<>(
            Map.of(
                new ExpertId(0, 0), new Place(10, 0),
                new ExpertId(0, 1), new Place(10, 1),
                new ExpertId(0, 2), new Place(20, 0),
                new ExpertId(0, 3), new Place(30, 0)));
    List<NodeInfo> nodes =
        Stream.of(10, 20, 30)
            .map(node -> new NodeInfo(node, "n" + node, "", 1, "", "", "", "cpu", List.of(0L), 1))
            .toList();
    return new EpochPlan(
        EPOCH,
        0,
        nodes,
        new Placement(experts, List.of(new Place(10, 0), new Place(20, 0))),
        new TreeMap<>());
  }

  private static Host.Arrived arrived(ShardId shard, long step, Phase phase) {
    return new Host.Arrived(EPOCH, shard, step, phase, 20);
  }

  private static Host.Arrived expert(int expert, long step) {
    return arrived(ShardId.expert(new ExpertId(0, expert)), step, Phase.REPLICA);
  }

  @Test
  void shouldConfirmTheCopiesOfAStepTogether() {
    assertEquals(List.of(), book.add(10, expert(0, 8)));
    assertEquals(List.of(), book.add(10, expert(1, 8)));
    Host.Arrived last = arrived(ShardId.moments(0), 8, Phase.REPLICA);
    assertEquals(List.of(expert(0, 8), expert(1, 8), last), book.add(10, last));
    assertEquals(Map.of(), book.takeAll());
    assertEquals(List.of(), book.add(10, expert(0, 17)), "the next step begins anew");
  }

  @Test
  void shouldCountTheCopiesOfOneStepOnly() {
    book.add(10, expert(0, 8));
    book.add(10, expert(1, 8));
    assertEquals(List.of(), book.add(10, expert(0, 17)));
    assertEquals(3, book.takeAll().get(10).size());
  }

  @Test
  void shouldConfirmTheRestWhenAsked() {
    Host.Arrived restored = arrived(ShardId.trunk(), 8, Phase.RESTORE);
    assertEquals(List.of(), book.add(10, restored));
    Host.Arrived other = arrived(ShardId.moments(1), 8, Phase.CHECKPOINT);
    assertEquals(List.of(), book.add(30, other));
    assertEquals(Map.of(10, List.of(restored), 30, List.of(other)), book.takeAll());
    assertEquals(Set.of(), book.takeAll().keySet());
  }
}
