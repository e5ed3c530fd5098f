package troupe.router.trunk;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import troupe.core.config.ConfigLoader;
import troupe.core.config.RunConfig;
import troupe.core.nn.ParameterLayout;
import troupe.core.nn.ParameterSpec;
import troupe.router.trunk.Segments.Segment;

/** Segments are an exact cut of every slice, and each says when all of its parameters are final. */
final class SegmentsTest {
  private static final int RANDOM_CONFIGS = 300;

  private static RunConfig config(String overrides) {
    return ConfigLoader.parse("", List.of(overrides.split(" ")));
  }

  private static RunConfig random(SplittableRandom random) {
    int heads = random.nextInt(1, 5);
    int layers = random.nextInt(1, 9);
    int ranks = random.nextInt(1, 9);
    return config(
        ("model.heads=%d model.d_model=%d model.layers=%d model.moe_every=%d model.vocab=%d"
                + " model.seq=%d model.d_ff=%d model.activation=%s gate.omega=%s experts.count=%d"
                + " train.ranks=%d train.batch=%d")
            .formatted(
                heads,
                heads * random.nextInt(1, 80),
                layers,
                random.nextInt(1, layers + 1),
                random.nextInt(40, 3000),
                random.nextInt(1, 400),
                random.nextInt(1, 600),
                random.nextBoolean() ? "gelu" : "swiglu",
                random.nextBoolean(),
                random.nextInt(2, 20),
                ranks,
                ranks));
  }

  @Test
  void shouldCutEverySliceExactly() {
    long seed = new SplittableRandom().nextLong();
    SplittableRandom random = new SplittableRandom(seed);
    for (int i = 0; i < RANDOM_CONFIGS; i++) {
      RunConfig config = random(random);
      check(config, "seed=" + seed + " config " + i + ": " + config.model() + config.train());
    }
  }

  private static void check(RunConfig config, String what) {
    ParameterLayout layout = TrunkParameters.layout(config);
    Slices slices = new Slices(layout.size(), config.train().ranks());
    Map<String, Integer> finalAfter = TrunkParameters.finalAfter(config);
    Segments segments = Segments.of(config);
    long longest = Segments.longest(layout.size());
    for (int owner = 0; owner < slices.ranks(); owner++) {
      long next = slices.from(owner);
      int number = 0;
      for (Segment segment : segments.of(owner)) {
        assertEquals(owner, segment.owner(), what);
        assertEquals(number++, segment.number(), what);
        assertEquals(next, segment.from(), what);
        assertTrue(segment.count() > 0 && segment.count() <= longest, what);
        assertEquals(firstFinal(layout, finalAfter, segment), segment.finalAfter(), what);
        checkNothingLongIsHeldBack(layout, finalAfter, segment, what);
        next += segment.count();
      }
      assertEquals(slices.from(owner + 1), next, what);
      checkShortOnes(segments.of(owner), what);
    }
  }

  /** The lowest layer that a parameter of the segment belongs to: the last in backward. */
  private static int firstFinal(
      ParameterLayout layout, Map<String, Integer> finalAfter, Segment segment) {
    int lowest = Integer.MAX_VALUE;
    for (ParameterSpec spec : layout.specs()) {
      long from = layout.offset(spec.name());
      if (from < segment.from() + segment.count() && from + spec.size() > segment.from()) {
        lowest = Math.min(lowest, finalAfter.get(spec.name()));
      }
    }
    return lowest;
  }

  /** No 64 KiB that are final at once wait for what is final later. */
  private static void checkNothingLongIsHeldBack(
      ParameterLayout layout, Map<String, Integer> finalAfter, Segment segment, String what) {
    List<ParameterSpec> inOrder =
        layout.specs().stream()
            .sorted(Comparator.comparingLong(spec -> layout.offset(spec.name())))
            .toList();
    long run = 0;
    int runFinal = -1;
    for (ParameterSpec spec : inOrder) {
      long from = Math.max(segment.from(), layout.offset(spec.name()));
      long to =
          Math.min(segment.from() + segment.count(), layout.offset(spec.name()) + spec.size());
      if (to > from) {
        int now = finalAfter.get(spec.name());
        run = now == runFinal ? run + to - from : to - from;
        runFinal = now;
        assertTrue(
            run < Segments.SHORT || runFinal == segment.finalAfter(),
            () -> what + " " + segment + " holds back " + spec.name());
      }
    }
  }

  /** A short segment travels alone only where it would hold back a long one. */
  private static void checkShortOnes(List<Segment> segments, String what) {
    for (int i = 0; i < segments.size(); i++) {
      Segment segment = segments.get(i);
      List<Segment> neighbours = new ArrayList<>();
      if (i > 0) {
        neighbours.add(segments.get(i - 1));
      }
      if (i + 1 < segments.size()) {
        neighbours.add(segments.get(i + 1));
      }
      for (Segment neighbour : neighbours) {
        assertTrue(
            segment.count() >= Segments.SHORT
                || neighbour.count() >= Segments.SHORT
                    && neighbour.finalAfter() > segment.finalAfter(),
            () -> what + " " + segment + " beside " + neighbour);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "train.ranks=1",
        "train.ranks=2",
        "train.ranks=4",
        "model.layers=6 model.moe_every=2 train.ranks=3 train.batch=3",
        "model.d_model=1024 model.heads=8 model.vocab=5000 train.ranks=5 train.batch=5"
      })
  void shouldLetMostOfTheTrunkGoBeforeTheLastLayer(String overrides) {
    RunConfig config = config(overrides);
    check(config, overrides);
    Map<String, Integer> finalAfter = TrunkParameters.finalAfter(config);
    ParameterLayout layout = TrunkParameters.layout(config);
    long early =
        layout.specs().stream()
            .filter(
                spec ->
                    (spec.update() == ParameterSpec.Update.DECAYED)
                        && finalAfter.get(spec.name()) > 0)
            .mapToLong(ParameterSpec::size)
            .sum();
    Segments segments = Segments.of(config);
    long sentEarly = 0;
    for (int owner = 0; owner < config.train().ranks(); owner++) {
      for (Segment segment : segments.of(owner)) {
        sentEarly += segment.finalAfter() > 0 ? segment.count() : 0;
      }
    }
    // All matrices but the short rest of one at a border of slices.
    assertTrue(
        sentEarly >= early - (long) Segments.SHORT * config.train().ranks(),
        sentEarly + " of " + early);
  }

  @Test
  void shouldBeOneSegmentWhereATrunkIsSmall() {
    Segments segments = Segments.of(config("model.d_model=16 model.vocab=32 train.ranks=2"));
    assertEquals(1, segments.of(0).size());
    assertEquals(1, segments.of(1).size());
  }

  @Test
  void shouldKnowItsOwnSegmentsAlone() {
    RunConfig config = config("train.ranks=2");
    Segments segments = Segments.of(config);
    for (int owner = 0; owner < 2; owner++) {
      for (Segment segment : segments.of(owner)) {
        assertTrue(segments.isSegment(owner, segment.number(), segment.count()));
        assertFalse(segments.isSegment(owner, segment.number(), segment.count() + 1));
        assertFalse(segments.isSegment(owner, segment.number(), 0));
      }
    }
    int count = segments.of(1).getFirst().count();
    assertFalse(segments.isSegment(-1, 0, count));
    assertFalse(segments.isSegment(2, 0, count));
    assertFalse(segments.isSegment(1, -1, count));
    assertFalse(segments.isSegment(1, segments.of(1).size(), segments.of(1).getLast().count()));
    assertFalse(segments.isSegment(Integer.MAX_VALUE, Integer.MAX_VALUE, count));
  }
}
