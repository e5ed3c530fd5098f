package troupe.core.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import troupe.core.data.Batches.Split;

final class BatchesTest {
  private static final int SEQ = 8;
  private static final Split ONE = new Split(1, 1, 24);

  /** A stream whose token at a position is that position: a batch then says where it came from. */
  private record Positions(long size) implements TokenStream {
    @Override
    public void read(long from, int[] out, int offset, int count) {
      Objects.checkFromIndexSize(from, count, size);
      for (int i = 0; i < count; i++) {
        out[offset + i] = (int) (from + i);
      }
    }
  }

  private final Batches batches = new Batches(new Positions(10_000), SEQ);

  @Test
  void shouldPairEveryTokenWithTheNext() {
    Batch batch = batches.training(1, 2, 0, 0, ONE);
    assertEquals(24 * SEQ, batch.tokens_T().length);
    for (int i = 0; i < batch.tokens_T().length; i++) {
      assertEquals(batch.tokens_T()[i] + 1, batch.targets_T()[i]);
      if (i % SEQ != 0) {
        assertEquals(batch.tokens_T()[i - 1] + 1, batch.tokens_T()[i]);
      }
    }
  }

  @Test
  void shouldGiveTheSameBatchForTheSameArgumentsOnly() {
    int[] tokens = batches.training(1, 2, 0, 0, ONE).tokens_T();
    assertArrayEquals(tokens, batches.training(1, 2, 0, 0, ONE).tokens_T());
    assertFalse(Arrays.equals(tokens, batches.training(2, 2, 0, 0, ONE).tokens_T()));
    assertFalse(Arrays.equals(tokens, batches.training(1, 3, 0, 0, ONE).tokens_T()));
  }

  @Test
  void shouldTrainOnTheSameTextHoweverTheStepIsSplit() {
    long seed = System.nanoTime();
    RandomGenerator random = RandomGeneratorFactory.of("L64X128MixRandom").create(seed);
    for (int run = 0; run < 200; run++) {
      Split split = new Split(1 + random.nextInt(5), 1 + random.nextInt(4), 1 + random.nextInt(6));
      int step = random.nextInt();
      int all = split.ranks() * split.microBatches() * split.sequences();
      int[] whole = batches.training(seed, step, 0, 0, new Split(1, 1, all)).tokens_T();
      int[] joined =
          IntStream.range(0, split.ranks() * split.microBatches())
              .mapToObj(
                  i ->
                      batches.training(
                          seed, step, i / split.microBatches(), i % split.microBatches(), split))
              .flatMapToInt(batch -> Arrays.stream(batch.tokens_T()))
              .toArray();
      assertArrayEquals(whole, joined, "seed " + seed + " step " + step + " " + split);
    }
  }

  @Test
  void shouldReachEveryStartAboutEquallyOften() {
    int starts = 50;
    Batches small = new Batches(new Positions(starts + SEQ), SEQ);
    int[] hits = new int[starts];
    int draws = 500 * 24;
    for (int step = 0; step < 500; step++) {
      int[] tokens = small.training(7, step, 0, 0, ONE).tokens_T();
      for (int i = 0; i < tokens.length; i += SEQ) {
        hits[tokens[i]]++;
      }
    }
    double expected = (double) draws / starts;
    double chiSquare =
        Arrays.stream(hits).mapToDouble(h -> (h - expected) * (h - expected) / expected).sum();
    // 49 degrees of freedom: mean 49, standard deviation 9.9; the seed is fixed, so this cannot
    // flicker.
    assertTrue(chiSquare < 49 + 5 * 9.9, "chi square " + chiSquare);
  }

  @Test
  void shouldUseTheWholeOfAShortestStream() {
    Batches shortest = new Batches(new Positions(SEQ + 1), SEQ);
    int[] expected = IntStream.range(0, SEQ).toArray();
    assertArrayEquals(expected, shortest.training(1, 1, 0, 0, new Split(1, 1, 1)).tokens_T());
    assertArrayEquals(expected, shortest.spread(3, 4, 1).tokens_T());
  }

  @Test
  void shouldRefuseAStreamWithoutOneSequence() {
    assertThrows(IllegalArgumentException.class, () -> new Batches(new Positions(SEQ), SEQ));
    assertThrows(IllegalArgumentException.class, () -> new Batches(new Positions(SEQ), 0));
  }

  @Test
  void shouldRefuseARankOrMicroBatchThatIsNotThere() {
    Split split = new Split(2, 3, 1);
    assertThrows(IllegalArgumentException.class, () -> batches.training(1, 1, 2, 0, split));
    assertThrows(IllegalArgumentException.class, () -> batches.training(1, 1, 0, 3, split));
    assertThrows(IllegalArgumentException.class, () -> batches.training(1, 1, -1, 0, split));
    assertThrows(IllegalArgumentException.class, () -> new Split(0, 1, 1));
  }

  @Test
  void shouldSpreadValidationEvenly() {
    List<Integer> starts = new ArrayList<>();
    for (int index = 0; index < 5; index++) {
      int[] tokens = batches.spread(index, 5, 4).tokens_T();
      for (int i = 0; i < tokens.length; i += SEQ) {
        starts.add(tokens[i]);
      }
    }
    Set<Integer> gaps = new HashSet<>();
    for (int i = 1; i < starts.size(); i++) {
      gaps.add(starts.get(i) - starts.get(i - 1));
    }
    assertEquals(0, starts.getFirst());
    // 9 992 possible starts over 20 sequences.
    assertEquals(Set.of(499, 500), gaps);
  }

  @Test
  void shouldSpreadOverAStreamBeyondTheRangeOfAnInt() {
    long size = 1L << 50;
    TokenStream high =
        new TokenStream() {
          @Override
          public long size() {
            return size;
          }

          @Override
          public void read(long from, int[] out, int offset, int count) {
            Objects.checkFromIndexSize(from, count, size);
            Arrays.fill(out, offset, offset + count, (int) (from >>> 24));
          }
        };
    int[] last = new Batches(high, SEQ).spread(999, 1000, 64).tokens_T();
    assertEquals((1 << 26) - 1, last[last.length - 1] | 0x7FF);
  }
}
