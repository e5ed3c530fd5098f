package troupe.coordinator;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import akka.actor.testkit.typed.javadsl.TestInbox;
import java.util.List;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import troupe.coordinator.host.EpochPlan;
import troupe.coordinator.host.Host;
import troupe.coordinator.host.Inventory;
import troupe.coordinator.placement.NodeInfo;
import troupe.coordinator.placement.Place;
import troupe.coordinator.placement.Placement;

final class EpochChangeTest {
  private static final int EPOCH = 2;

  private final List<TestInbox<Host.Command>> hosts =
      IntStream.range(0, 3).mapToObj(n -> TestInbox.<Host.Command>create("host-" + n)).toList();
  private final EpochChange change =
      new EpochChange(
          EPOCH,
          "nodes joined",
          true,
          false,
          hosts.stream().map(TestInbox::getRef).collect(Collectors.toSet()),
          TestInbox.<Host.Event>create().getRef());

  private static NodeInfo info(int node) {
    return new NodeInfo(node, "node-" + node, "", node, "", "m", "", "cpu", List.of(1L), 1);
  }

  private Host.Reported report(int node) {
    return new Host.Reported(
        EPOCH,
        info(node),
        hosts.get(node).getRef(),
        new Inventory(new TreeMap<>(), -1, null),
        false,
        List.of(),
        0);
  }

  private void plan() {
    IntStream.range(0, 3).forEach(node -> change.onReported(report(node)));
    change.planned(
        new EpochPlan(
            EPOCH,
            0,
            Stream.of(0, 1, 2).map(EpochChangeTest::info).toList(),
            new Placement(new TreeMap<>(), List.of(new Place(0, 0))),
            new TreeMap<>()));
  }

  private void waits(int node, Integer... forNodes) {
    change.isNews(new Host.Preparing(EPOCH, node, "something", List.of(forNodes)));
  }

  @Test
  void shouldAskForReportsUntilThereIsAPlan() {
    change.ask();
    hosts.forEach(host -> assertInstanceOf(Host.Report.class, host.receiveMessage()));
    plan();
    change.ask();
    hosts.forEach(host -> assertInstanceOf(Host.Prepare.class, host.receiveMessage()));
  }

  @Test
  void shouldHearEveryHostOnce() {
    assertFalse(change.onReported(report(0)));
    assertFalse(change.onReported(report(0)));
    assertFalse(change.onReported(report(1)));
    assertEquals(Set.of(hosts.get(2).getRef()), change.late());
    assertTrue(change.onReported(report(2)));
    assertFalse(change.onReported(report(2)));
  }

  @Test
  void shouldBlameWhoIsNotReadyAndWaitsForNobody() {
    plan();
    change.onPrepared(0);
    waits(1, 2);
    assertEquals(Set.of(hosts.get(2).getRef()), change.late());
  }

  @Test
  void shouldBlameTheNodeThatMostWaitForOrNobody() {
    plan();
    waits(0, 2);
    waits(1, 2);
    waits(2, 0);
    assertEquals(Set.of(hosts.get(2).getRef()), change.late());
    waits(1, 0);
    waits(2, 1);
    waits(0, 2);
    assertEquals(Set.of(), change.late());
  }
}
