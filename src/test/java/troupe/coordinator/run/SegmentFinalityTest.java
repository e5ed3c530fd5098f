package troupe.coordinator.run;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import troupe.coordinator.host.Model;
import troupe.core.config.RunConfig;
import troupe.core.tensor.Device;
import troupe.core.tensor.Devices;
import troupe.router.trunk.RankState;
import troupe.router.trunk.Segments.Segment;

/**
 * A segment that is said to be final is: every one is copied at that moment and compared, bit for
 * bit, with what it is at the end of backward.
 */
final class SegmentFinalityTest {
  private record Key(int rank, Segment segment) {}

  @ParameterizedTest
  @ValueSource(
      strings = {
        "train.ranks=1 train.micro_batches=2",
        "train.ranks=2 train.micro_batches=1",
        "train.ranks=2 train.micro_batches=4",
        "train.ranks=3 train.micro_batches=2 train.batch=6 model.moe_every=2",
        "train.ranks=4 train.micro_batches=2 gate.type=sparsemixer-inf",
        "train.ranks=5 train.micro_batches=4 train.batch=20 model.moe_every=2",
        "train.ranks=2 model.moe_every=2 model.activation=swiglu gate.type=switch",
        "train.ranks=1 model.moe_every=4 model.d_ff=300 gate.jitter_on=input gate.type=switch",
        "train.ranks=2 gate.omega=false gate.z_coefficient=0.01 device=reference",
      })
  void shouldNotChangeASegmentThatWasFinal(String overrides) {
    RunConfig config = Runs.wide(("model.layers=4 " + overrides).split(" "));
    Map<Key, double[]> copies = new HashMap<>();
    Map<Integer, Integer> lastLayer = new HashMap<>();
    try (Device device = Devices.open(config.device());
        Model model = new Model(device, config)) {
      SingleProcess single =
          new SingleProcess(
              model,
              Runs.randomBatches(config),
              Runs.draws(config),
              (rank, layer) -> {
                Integer before = lastLayer.put(rank, layer);
                assertEquals(before == null ? config.model().layers() : before - 1, layer);
                copyFinal(model.ranks().get(rank), layer, copies);
              });
      single.computeGradients();
      int early = 0;
      for (RankState rank : model.ranks()) {
        assertEquals(0, lastLayer.get(rank.rank()));
        for (int owner = 0; owner < config.train().ranks(); owner++) {
          for (Segment segment : rank.segments().of(owner)) {
            double[] copy = copies.remove(new Key(rank.rank(), segment));
            assertArrayEquals(rank.gradient(segment).toDoubles(), copy, segment::toString);
            assertFalse(Arrays.stream(copy).allMatch(x -> x == 0), segment + ": no gradient");
            early += segment.finalAfter() > 0 ? 1 : 0;
          }
        }
      }
      assertTrue(copies.isEmpty(), "segments of nobody: " + copies.keySet());
      assertTrue(early >= 2 * config.train().ranks(), "segments before the last layer: " + early);
    }
  }

  private static void copyFinal(RankState rank, int layer, Map<Key, double[]> copies) {
    for (int owner = 0; owner < rank.slices().ranks(); owner++) {
      for (Segment segment : rank.segments().of(owner)) {
        if (segment.finalAfter() >= layer) {
          copies.computeIfAbsent(
              new Key(rank.rank(), segment), key -> rank.gradient(segment).toDoubles());
        }
      }
    }
  }
}
