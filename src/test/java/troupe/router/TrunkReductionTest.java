package troupe.router;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import troupe.core.config.ConfigLoader;
import troupe.core.config.RunConfig;
import troupe.core.tensor.Device;
import troupe.core.tensor.Devices;
import troupe.core.tensor.Tensor;
import troupe.expert.network.TensorPayload;
import troupe.router.trunk.RankState;
import troupe.router.trunk.Segments.Segment;

/** Segments of all ranks, in any order and more than once: the sum has the bits of rank order. */
final class TrunkReductionTest {
  private static final long STEP = 3;

  private record Arrival(int rank, Segment segment) {}

  private static RankState lastOf(Device device, int ranks) {
    RunConfig config =
        ConfigLoader.parse(
            "",
            List.of(
                "device=" + device.name(),
                "model.d_model=64",
                "model.heads=2",
                "model.layers=4",
                "experts.count=2",
                "train.ranks=" + ranks,
                "train.batch=" + ranks));
    return new RankState(device, config, ranks - 1);
  }

  private static TensorPayload payload(RankState state, Segment segment, double[] slice) {
    Tensor rows = state.device().allocate(1, segment.count());
    double[] values = new double[segment.count()];
    System.arraycopy(
        slice,
        Math.toIntExact(segment.from() - state.slices().from(state.rank())),
        values,
        0,
        values.length);
    rows.set(values);
    return TensorPayload.given(rows);
  }

  @Test
  void shouldTakeTheGradientForTheSumWhenARankIsAlone() {
    try (Device device = Devices.open("cpu");
        RankState state = lastOf(device, 1);
        TrunkReduction reduction = new TrunkReduction(state, STEP, true)) {
      device.kernels().fill(state.gradients().flat(), 0.25);
      for (Segment segment : state.segments().of(0)) {
        reduction.accept(0, segment.number(), TensorPayload.lent(state.gradient(segment)));
      }
      assertTrue(reduction.isComplete());
      assertEquals(
          state.gradients().flat().size() * 0.0625,
          reduction.squaredNorm().values()[0],
          1e-3 * state.gradients().flat().size());
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 3, 4, 5})
  void shouldSumInRankOrderWhateverTheOrderOfArrival(int ranks) {
    long seed = new SplittableRandom().nextLong();
    SplittableRandom random = new SplittableRandom(seed);
    try (Device device = Devices.open("cpu");
        RankState state = lastOf(device, ranks)) {
      double[][] slice_R = new double[ranks][state.slices().count(ranks - 1)];
      float[] expected = new float[slice_R[0].length];
      for (int rank = 0; rank < ranks; rank++) {
        for (int i = 0; i < expected.length; i++) {
          slice_R[rank][i] = (float) (random.nextDouble() - 0.5);
          expected[i] = rank == 0 ? (float) slice_R[0][i] : expected[i] + (float) slice_R[rank][i];
        }
      }
      List<Arrival> arrivals = new ArrayList<>();
      for (int copy = 0; copy < 2; copy++) {
        for (int rank = 0; rank < ranks; rank++) {
          for (Segment segment : state.segments().of(ranks - 1)) {
            arrivals.add(new Arrival(rank, segment));
          }
        }
      }
      shuffle(arrivals, random);
      long bytesAtRest = device.allocatedBytes();
      int completed = 0;
      try (TrunkReduction reduction = new TrunkReduction(state, STEP, true)) {
        for (Arrival arrival : arrivals) {
          boolean before = reduction.isComplete();
          boolean completes =
              reduction.accept(
                  arrival.rank(),
                  arrival.segment().number(),
                  payload(state, arrival.segment(), slice_R[arrival.rank()]));
          assertEquals(!before && reduction.isComplete(), completes, "seed=" + seed);
          completed += completes ? 1 : 0;
        }
        assertEquals(1, completed, "seed=" + seed);
        assertEquals(STEP, state.gradientStep());
        assertEquals(bytesAtRest, device.allocatedBytes(), "bytes held, seed=" + seed);
        double[] sum = state.gradientSum().toDoubles();
        for (int i = 0; i < expected.length; i++) {
          assertEquals(expected[i], (float) sum[i], 0f, "element " + i + " seed=" + seed);
        }
      }
    }
  }

  private static void shuffle(List<Arrival> arrivals, SplittableRandom random) {
    for (int i = arrivals.size() - 1; i > 0; i--) {
      arrivals.set(i, arrivals.set(random.nextInt(i + 1), arrivals.get(i)));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3})
  void shouldSumNothingBeforeItIsToldTo(int ranks) {
    try (Device device = Devices.open("cpu");
        RankState state = lastOf(device, ranks);
        TrunkReduction reduction = new TrunkReduction(state, STEP, false)) {
      List<Segment> segments = state.segments().of(ranks - 1);
      double[] ones = new double[state.slices().count(ranks - 1)];
      Arrays.fill(ones, 1);
      for (Segment segment : segments.subList(1, segments.size())) {
        for (int rank = 0; rank < ranks; rank++) {
          assertFalse(reduction.accept(rank, segment.number(), payload(state, segment, ones)));
          assertFalse(reduction.isMissing(rank, segment.number()));
        }
      }
      assertFalse(reduction.sumUp());
      Segment late = segments.getFirst();
      for (int rank = 0; rank < ranks; rank++) {
        boolean last = rank == ranks - 1;
        assertEquals(
            last,
            reduction.accept(rank, late.number(), payload(state, late, ones)),
            "rank " + rank);
      }
      assertTrue(reduction.sumUp());
      assertEquals(STEP, state.gradientStep());
      if (ranks > 1) {
        for (double element : state.gradientSum().toDoubles()) {
          assertEquals(ranks, element);
        }
      }
    }
  }

  @Test
  void shouldHoldOnlyWhatCameBeforeItsTurn() {
    try (Device device = Devices.open("cpu");
        RankState state = lastOf(device, 3)) {
      double[] ones = new double[state.slices().count(2)];
      Arrays.fill(ones, 1);
      Segment segment = state.segments().of(2).getFirst();
      long bytes = 4L * segment.count();
      long atRest = device.allocatedBytes();
      try (TrunkReduction reduction = new TrunkReduction(state, STEP, true)) {
        reduction.accept(0, 0, payload(state, segment, ones));
        assertEquals(atRest, device.allocatedBytes(), "summed at once");
        reduction.accept(2, 0, payload(state, segment, ones));
        assertEquals(atRest + bytes, device.allocatedBytes(), "waits for rank 1");
        reduction.accept(1, 0, payload(state, segment, ones));
        assertEquals(atRest, device.allocatedBytes(), "both summed");
        assertFalse(reduction.isComplete());
        reduction.accept(2, 1, payload(state, state.segments().of(2).get(1), ones));
      }
      assertEquals(atRest, device.allocatedBytes(), "given up with the step");
      double[] threes = new double[segment.count()];
      Arrays.fill(threes, 3);
      assertArrayEquals(threes, state.gradientSum(segment).toDoubles());
      assertEquals(-1, state.gradientStep());
    }
  }

  @Test
  void shouldRefuseWhatIsNoSegment() {
    try (Device device = Devices.open("cpu");
        RankState state = lastOf(device, 2)) {
      double[] ones = new double[state.slices().count(1)];
      List<Segment> own = state.segments().of(1);
      assertTrue(own.size() > 1, "segments: " + own);
      long atRest = device.allocatedBytes();
      try (TrunkReduction reduction = new TrunkReduction(state, STEP, true)) {
        reduction.accept(-1, 0, payload(state, own.getFirst(), ones));
        reduction.accept(2, 0, payload(state, own.getFirst(), ones));
        reduction.accept(0, -1, payload(state, own.getFirst(), ones));
        reduction.accept(0, own.size(), payload(state, own.getFirst(), ones));
        reduction.accept(1, 0, TensorPayload.given(device.allocate(1, own.getFirst().count() + 1)));
        assertEquals(atRest, device.allocatedBytes(), "bytes kept");
      }
    }
  }
}
