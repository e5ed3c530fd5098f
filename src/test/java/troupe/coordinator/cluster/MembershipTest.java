package troupe.coordinator.cluster;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;
import troupe.coordinator.cluster.Membership.Changed;
import troupe.coordinator.cluster.Membership.Expelled;
import troupe.coordinator.cluster.Membership.Happened;
import troupe.coordinator.events.RunEvent;

class MembershipTest {
  @Test
  void shouldTellOfNodesThatComeDieAndLeave() throws Exception {
    try (TestNode first = TestNode.start("cluster.name=a")) {
      first.joined();
      first.watch();
      String seeds = "cluster.seeds=[\"" + first.address() + "\"]";
      try (TestNode second = TestNode.start(seeds, "cluster.name=b");
          TestNode third = TestNode.start(seeds, "cluster.name=c")) {
        second.joined();
        second.watch();
        third.joined();
        third.watch();
        for (TestNode node : List.of(first, second, third)) {
          node.await("three hosts", event -> hosts(event) == 3);
        }
        assertTrue(
            first.heard().contains(happened(new RunEvent.Joined("b", second.address()), true)),
            first.heard()::toString);
        assertTrue(
            second.heard().contains(happened(new RunEvent.Joined("a", first.address()), false)),
            second.heard()::toString);

        NodeSystem.leave(third.system());
        first.awaitAll(
            "c removed, two hosts",
            List.of(is(new RunEvent.Removed("c", "it left")), event -> hosts(event) == 2));
        third.awaitEnd();
        assertEquals(true, NodeSystem.misfortune(third.system()).isEmpty());

        TestNode fourth = TestNode.start(seeds, "cluster.name=c");
        fourth.joined();
        fourth.watch();
        first.await("three hosts again", event -> hosts(event) == 3);
        fourth.close();
        first.await("c suspected", is(new RunEvent.Suspected("c")));
        Predicate<Membership.Event> givenUp =
            is(new RunEvent.Removed("c", "nothing was heard of it, the others gave it up"));
        Changed left =
            (Changed)
                first
                    .awaitAll(
                        "c given up, two hosts again", List.of(event -> hosts(event) == 2, givenUp))
                    .getFirst();
        assertTrue(left.hosts().contains(first.host()));
      }
    }
  }

  /** Two of three are gone at once: the third is the minority and must not go on. */
  @Test
  void shouldEndANodeThatIsLeftInTheMinority() throws Exception {
    TestNode first = TestNode.start("cluster.name=a");
    first.joined();
    String seeds = "cluster.seeds=[\"" + first.address() + "\"]";
    TestNode second = TestNode.start(seeds, "cluster.name=b");
    try (TestNode third = TestNode.start(seeds, "cluster.name=c")) {
      second.joined();
      third.joined();
      third.watch();
      third.await("three members", is(new RunEvent.Joined("c", third.address()), false));
      first.close();
      second.close();
      third.await("expelled", Expelled.class::isInstance);
      third.awaitEnd();
      assertTrue(NodeSystem.misfortune(third.system()).orElseThrow().contains("without this node"));
    } finally {
      first.close();
      second.close();
    }
  }

  private static int hosts(Membership.Event event) {
    return event instanceof Changed changed ? changed.hosts().size() : -1;
  }

  private static Predicate<Membership.Event> is(RunEvent event) {
    return is(event, true);
  }

  private static Predicate<Membership.Event> is(RunEvent event, boolean news) {
    return new Happened(event, news)::equals;
  }

  private static String happened(RunEvent event, boolean news) {
    return new Happened(event, news).toString();
  }
}
