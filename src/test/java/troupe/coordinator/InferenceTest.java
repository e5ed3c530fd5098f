package troupe.coordinator;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import akka.actor.testkit.typed.javadsl.TestInbox;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import troupe.coordinator.host.EpochPlan;
import troupe.coordinator.host.Host;
import troupe.coordinator.placement.NodeInfo;
import troupe.coordinator.placement.Place;
import troupe.coordinator.placement.Placement;
import troupe.router.RouterActor;

final class InferenceTest {
  private static final int EPOCH = 3;

  private final TestInbox<Host.Command> host = TestInbox.create();
  private final Group group =
      new Group(
          new EpochPlan(
              EPOCH,
              0,
              List.of(new NodeInfo(1, "node-1", "", 1, "", "m", "", "cpu", List.of(1L), 1)),
              new Placement(new TreeMap<>(), List.of(new Place(1, 0), new Place(1, 0))),
              new TreeMap<>()),
          Map.of(1, host.getRef()));
  private final Inference inference = new Inference(2);

  private RouterActor.Evaluate evaluate() {
    inference.evaluate(group, 5);
    return (RouterActor.Evaluate) ((Host.ToRouters) host.receiveMessage()).command();
  }

  private static RouterActor.Evaluated share(long id, int rank) {
    return new RouterActor.Evaluated(EPOCH, id, rank, 8, 4);
  }

  @Test
  void shouldSumTheSharesOfAllRanks() {
    RouterActor.Evaluate asked = evaluate();
    assertEquals(5, asked.count());
    assertFalse(inference.tally().add(share(asked.id(), 0)));
    assertEquals("node=node-1 rank=1", inference.missing());
    assertTrue(inference.tally().add(share(asked.id(), 1)));
    assertEquals(2, inference.tally().loss());
    assertEquals(8, inference.tally().tokens());
  }

  @Test
  void shouldTakeAnswersToWhatWasAskedLastOnly() {
    long first = evaluate().id();
    assertTrue(inference.isOf(EPOCH, first));
    assertFalse(inference.isOf(EPOCH - 1, first));
    long again = evaluate().id();
    assertFalse(inference.isOf(EPOCH, first));
    assertTrue(inference.isOf(EPOCH, again));
  }
}
