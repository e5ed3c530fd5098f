package troupe.coordinator;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import akka.actor.testkit.typed.javadsl.TestInbox;
import akka.actor.typed.ActorRef;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import troupe.coordinator.host.EpochPlan;
import troupe.coordinator.host.Host;
import troupe.coordinator.placement.NodeInfo;
import troupe.coordinator.placement.Place;
import troupe.coordinator.placement.Placement;

final class PresenceTest {
  private static final long SECOND_NS = 1_000_000_000L;

  private final ActorRef<Host.Command> first = TestInbox.<Host.Command>create("first").getRef();
  private final ActorRef<Host.Command> second = TestInbox.<Host.Command>create("second").getRef();
  private final Presence presence = new Presence();

  @Test
  void shouldSayWhetherOthersAreThere() {
    assertTrue(presence.update(Set.of(first)));
    assertFalse(presence.update(Set.of(first)));
    assertTrue(presence.update(Set.of(first, second)));
    assertEquals(Set.of(first, second), presence.hosts());
  }

  @Test
  void shouldNotCountWhoIsGivenUpUntilItsNodeHasLeft() {
    presence.update(Set.of(first, second));
    presence.giveUp(second, 0);
    assertEquals(Set.of(first), presence.hosts());
    assertFalse(presence.update(Set.of(first, second)), "still a member");
    assertFalse(presence.update(Set.of(first)), "has left");
    assertTrue(presence.update(Set.of(first, second)), "has come back");
  }

  @Test
  void shouldSayOnceWhoShouldHaveLeft() {
    presence.update(Set.of(first, second));
    presence.giveUp(second, 0);
    assertEquals(Set.of(), presence.overdue(29 * SECOND_NS));
    assertEquals(Set.of(second), presence.overdue(30 * SECOND_NS));
    assertEquals(Set.of(), presence.overdue(31 * SECOND_NS));
  }

  @Test
  void shouldRememberAllWhoAreGivenUp() {
    presence.update(Set.of(first, second));
    presence.giveUp(first, 0);
    presence.giveUp(second, 0);
    assertEquals(Set.of(), presence.hosts());
    assertFalse(presence.update(Set.of(first, second)), "both are still members");
    assertEquals(Set.of(first, second), presence.overdue(30 * SECOND_NS));
  }

  @Test
  void shouldNameWhoOfAnEpochIsGone() {
    NodeInfo info = new NodeInfo(2, "node-2", "", 2, "", "m", "", "cpu", List.of(1L), 1);
    Group group =
        new Group(
            new EpochPlan(
                1,
                0,
                List.of(info),
                new Placement(new TreeMap<>(), List.of(new Place(2, 0))),
                new TreeMap<>()),
            Map.of(2, second));
    presence.update(Set.of(first, second));
    assertEquals(List.of(), presence.gone(null));
    assertEquals(List.of(), presence.gone(group));
    presence.update(Set.of(first));
    assertEquals(List.of(2), presence.gone(group));
    assertEquals("lost node-2", presence.lost(group));
    assertEquals("a node was lost", presence.lost(null));
  }
}
