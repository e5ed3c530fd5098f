package troupe.coordinator;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;
import troupe.coordinator.run.Runs;
import troupe.core.config.RunConfig;
import troupe.expert.ExpertActor;
import troupe.router.RouterActor;
import troupe.router.trunk.LayerStats;

final class StepTallyTest {
  private final RunConfig config = Runs.tiny();
  private final StepTally tally = new StepTally(config, 3);

  @Test
  void shouldHearEachReportOnce() {
    assertEquals(0, tally.heard());
    for (int repetition = 0; repetition < 2; repetition++) {
      tally.routed(new RouterActor.Routed(1, 3, 1, 0, LayerStats.none(config.experts().count())));
      assertEquals(repetition == 0 ? 1 : 5, tally.heard());
      tally.ready(new RouterActor.GradientReady(1, 3, 1, 2, 4));
      tally.ready(new ExpertActor.GradientReady(1, 3, 1, 2, 9));
      assertEquals(repetition == 0 ? 3 : 5, tally.heard());
      tally.applied(new RouterActor.Applied(1, 3, 1));
      tally.applied(new ExpertActor.Applied(1, 3, 1, 2));
      assertEquals(5, tally.heard());
    }
  }
}
