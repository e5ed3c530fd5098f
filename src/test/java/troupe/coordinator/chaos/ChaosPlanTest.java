package troupe.coordinator.chaos;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import troupe.coordinator.chaos.Disturbance.Kind;
import troupe.core.config.Fault;

final class ChaosPlanTest {
  private static final int SEEDS = 500;
  private static final int FAULTS = 100;

  private static List<Disturbance> plan(long seed, int nodes, boolean lossy) {
    return Stream.generate(new ChaosPlan(seed, nodes, lossy, ChaosPlan.Pace.USUAL)::next)
        .limit(FAULTS)
        .toList();
  }

  @ParameterizedTest
  @ValueSource(ints = {3, 4, 5, 7})
  void shouldAlwaysLeaveMoreThanHalfOfTheNodes(int nodes) {
    for (long seed = 0; seed < SEEDS; seed++) {
      int living = nodes;
      for (Disturbance fault : plan(seed, nodes, true)) {
        int next = living - fault.kind().deaths();
        assertTrue(2 * next > living, "seed " + seed + ", " + fault + " with " + living);
        assertTrue(next <= nodes, "seed " + seed + ", " + fault + " with " + living);
        living = next;
      }
    }
  }

  @Test
  void shouldDoEverythingInOneRoundWhateverTheSeed() {
    Set<Kind> all = EnumSet.complementOf(EnumSet.of(Kind.EXPERT_THROWS));
    Set<Kind> withoutTwo = EnumSet.copyOf(all);
    withoutTwo.removeAll(List.of(Kind.KILL_TWO, Kind.REJOIN_LOSSY));
    for (long seed = 0; seed < SEEDS; seed++) {
      assertEquals(all, kinds(plan(seed, 5, true).subList(0, 14)), "seed " + seed);
      assertEquals(withoutTwo, kinds(plan(seed, 3, false).subList(0, 11)), "seed " + seed);
    }
  }

  private static Set<Kind> kinds(List<Disturbance> plan) {
    Set<Kind> kinds = EnumSet.noneOf(Kind.class);
    plan.forEach(fault -> kinds.add(fault.kind()));
    return kinds;
  }

  @Test
  void shouldDependOnTheSeedAlone() {
    assertEquals(plan(7, 5, true), plan(7, 5, true));
    assertNotEquals(plan(7, 5, true), plan(8, 5, true));
  }

  @Test
  void shouldPauseLongerThanOthersWait() {
    for (Disturbance fault : plan(3, 5, true)) {
      if (fault.kind().isPause()) {
        assertTrue(fault.length().compareTo(Duration.ofSeconds(15)) >= 0, fault::toString);
        assertTrue(fault.length().compareTo(Duration.ofSeconds(25)) <= 0, fault::toString);
      } else {
        assertEquals(Duration.ZERO, fault.length());
      }
      assertTrue(fault.calm().compareTo(Duration.ofSeconds(5)) >= 0, fault::toString);
      assertTrue(fault.calm().compareTo(Duration.ofSeconds(15)) <= 0, fault::toString);
    }
  }

  @Test
  void shouldHaveNothingForANodeAlone() {
    assertFalse(new ChaosPlan(1, 1, true, ChaosPlan.Pace.USUAL).hasNext());
  }

  @Test
  void shouldLetExpertsThrowThatExistAtRisingSteps() {
    List<String> written = ChaosPlan.expertThrows(5, List.of(1, 3), 7, 100);
    assertEquals(written, ChaosPlan.expertThrows(5, List.of(1, 3), 7, 100));
    int before = 10;
    Set<Fault.Phase> phases = EnumSet.noneOf(Fault.Phase.class);
    for (String text : written) {
      Fault fault = Fault.parse(text);
      assertTrue(fault.step() >= before + 60 && fault.step() <= before + 300, text);
      assertTrue(fault.layer() == 1 || fault.layer() == 3, text);
      assertTrue(fault.expert() < 7, text);
      phases.add(fault.phase());
      before = fault.step();
    }
    assertEquals(EnumSet.allOf(Fault.Phase.class), phases);
    Set<String> firstTurns = new HashSet<>();
    written.subList(0, 14).forEach(text -> firstTurns.add(text.split(":")[1]));
    assertEquals(14, firstTurns.size(), "all experts in turn: " + firstTurns);
  }
}
