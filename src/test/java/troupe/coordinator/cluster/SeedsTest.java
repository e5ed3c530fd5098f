package troupe.coordinator.cluster;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import troupe.coordinator.cluster.SeedProbe.Finding;
import troupe.coordinator.cluster.SeedProbe.Kind;

class SeedsTest {
  private static final Finding LISTENS = new Finding(Kind.LISTENER, "silent");
  private static final Finding NOBODY = new Finding(Kind.NOBODY, "nobody listens");

  @Test
  void shouldLetOnlyTheFirstSeedBeginARun() {
    List<String> seeds = List.of("a:1", "b:1");
    assertTrue(new Seeds(seeds, "a:1").mayForm());
    assertFalse(new Seeds(seeds, "b:1").mayForm());
    assertFalse(new Seeds(seeds, "c:1").mayForm());
    assertTrue(new Seeds(List.of(), "c:1").mayForm());
    assertTrue(new Seeds(List.of(), "c:1").isAlone());
  }

  @Test
  void shouldNotBeginARunWhileSomebodyWhoMayKnowOfOneIsSilent() {
    Seeds seeds = new Seeds(List.of("a:1", "b:1", "c:1"), "a:1");
    seeds.found("b:1", LISTENS);
    seeds.found("c:1", NOBODY);
    assertFalse(seeds.mayForm());
    seeds.replied("b:1", new Door.NotYet("b:1", "waits, too"));
    assertTrue(seeds.mayForm());
    seeds.found("b:1", NOBODY);
    seeds.found("b:1", LISTENS);
    assertFalse(seeds.mayForm(), "what it said before it was gone is forgotten");
  }

  @Test
  void shouldKnockOnlyWhereSomebodyListens() {
    Seeds seeds = new Seeds(List.of("a:1", "b:1", "c:1"), "c:1");
    assertEquals(List.of(), seeds.listening());
    seeds.found("b:1", LISTENS);
    assertEquals(List.of("b:1"), seeds.listening());
    assertEquals(List.of("a:1", "b:1"), seeds.others());
  }

  @Test
  void shouldTellOfEverySeed() {
    Seeds seeds = new Seeds(List.of("a:1", "b:1", "c:1"), "d:1");
    seeds.found("a:1", NOBODY);
    seeds.found("b:1", LISTENS);
    seeds.replied("b:1", new Door.NotYet("b:1", "waits, too"));
    seeds.found("c:1", LISTENS);
    assertEquals(
        "a:1 nobody listens; b:1 waits, too; c:1 listens, but no node of that very name answers",
        seeds.told());
    assertTrue(seeds.stranger().isEmpty());
    seeds.found("c:1", new Finding(Kind.STRANGER, "is not Troupe"));
    assertEquals("c:1 is not Troupe", seeds.stranger().orElseThrow());
  }
}
