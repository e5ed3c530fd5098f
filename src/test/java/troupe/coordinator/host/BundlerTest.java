package troupe.coordinator.host;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import troupe.expert.ExpertActor;
import troupe.router.RouterActor;
import troupe.router.trunk.LayerStats;

class BundlerTest {
  private static final int EPOCH = 4;
  private static final int NODE = 7;

  /** Two ranks and one expert; two layers with experts. */
  private final Bundler bundler = new Bundler(EPOCH, NODE, 3, 4);

  private static RouterActor.Routed routed(long step, int rank, int layer, int experts) {
    return new RouterActor.Routed(EPOCH, step, rank, layer, LayerStats.none(experts));
  }

  private static RouterActor.GradientReady ready(long step, int rank) {
    return new RouterActor.GradientReady(EPOCH, step, rank, 1, 1);
  }

  @Test
  void shouldHoldReportsUntilAllRanksHaveRoutedAllLayers() {
    assertTrue(bundler.isEmpty());
    assertFalse(bundler.add(routed(1, 0, 0, 8)));
    assertFalse(bundler.add(routed(1, 1, 0, 8)));
    assertFalse(bundler.add(routed(1, 1, 1, 8)));
    assertTrue(bundler.add(routed(1, 0, 1, 8)));
    Host.Bundle bundle = bundler.take();
    assertEquals(4, bundle.routers().size());
    assertTrue(bundler.isEmpty());
    assertFalse(bundler.add(routed(2, 0, 0, 8)), "the next step begins anew");
  }

  @Test
  void shouldSendWhatIsSaidAgainAtOnce() {
    bundler.add(routed(1, 0, 0, 8));
    bundler.take();
    assertTrue(bundler.add(routed(1, 0, 0, 8)), "its router was restarted: the others wait");
  }

  @Test
  void shouldTellAStepThatIsAskedForAgain() {
    assertTrue(bundler.begin(1));
    assertFalse(bundler.begin(1));
    assertTrue(bundler.begin(2));
  }

  @Test
  void shouldSendWhatFillsAMessage() {
    int half = Host.NUMBERS_A_MESSAGE / 2;
    assertFalse(bundler.add(routed(1, 0, 0, half)));
    assertTrue(bundler.add(routed(1, 0, 1, half)));
    bundler.take();
    assertFalse(bundler.add(routed(1, 1, 0, half)), "the next message is empty");
    assertTrue(bundler.add(routed(1, 1, 1, half)));
  }

  @Test
  void shouldHoldGradientsUntilAllOwnersHaveThem() {
    assertFalse(bundler.add(ready(1, 0)));
    assertFalse(bundler.add(new ExpertActor.GradientReady(EPOCH, 1, 1, 5, 1)));
    assertTrue(bundler.add(ready(1, 1)));
    Host.Bundle bundle = bundler.take();
    assertEquals(2, bundle.routers().size());
    assertEquals(1, bundle.experts().size());
  }

  @Test
  void shouldSayAllOfAStepAgain() {
    bundler.add(routed(1, 0, 0, 8));
    bundler.take();
    bundler.add(ready(1, 0));
    Host.Bundle again = bundler.again(1);
    assertEquals(List.of(EPOCH, NODE), List.of(again.epoch(), again.node()));
    assertEquals(2, again.routers().size());
    assertEquals(0, bundler.again(2).routers().size(), "nothing is known of that step");
  }
}
