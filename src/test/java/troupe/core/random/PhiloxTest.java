package troupe.core.random;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Random;
import org.junit.jupiter.api.Test;

/** Known answers of philox4x32-10 from Random123's kat_vectors. */
class PhiloxTest {
  private static int[] block(long key, int c0, int c1, int c2, int c3) {
    int[] out = new int[4];
    Philox.block(key, c0, c1, c2, c3, out, 0);
    return out;
  }

  @Test
  void shouldGiveKnownAnswerWhenAllIsZero() {
    assertArrayEquals(
        new int[] {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}, block(0, 0, 0, 0, 0));
  }

  @Test
  void shouldGiveKnownAnswerWhenAllBitsAreSet() {
    assertArrayEquals(
        new int[] {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}, block(-1, -1, -1, -1, -1));
  }

  @Test
  void shouldGiveKnownAnswerWhenCounterAndKeyAreDigitsOfPi() {
    // Random123 lists the key as two words, low word first.
    long key = 0x299f31d0L << 32 | 0xa4093822L;
    assertArrayEquals(
        new int[] {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1},
        block(key, 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344));
  }

  @Test
  void shouldWriteAtOffsetOnly() {
    int[] out = new int[6];
    Philox.block(0, 0, 0, 0, 0, out, 1);
    assertArrayEquals(new int[] {0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8, 0}, out);
  }

  @Test
  void shouldStayInsideTheIntervalAtItsEnds() {
    assertTrue(Philox.uniform(0) > 0);
    assertTrue(Philox.uniform(-1) < 1);
    assertEquals(0.0, Philox.uniform53(0, 0));
    assertEquals(1 - 0x1p-53, Philox.uniform53(-1, -1));
  }

  @Test
  void shouldGiveTheWordsOfEachBlockWhenManyAreMade() {
    Random random = new Random(1);
    // Often enough for the compiler to take over from the interpreter.
    for (int repeat = 0; repeat < 2000; repeat++) {
      long key = random.nextLong();
      int c0 = repeat == 0 ? -3 : random.nextInt();
      int c1 = random.nextInt();
      int c2 = random.nextInt();
      int c3 = random.nextInt();
      int count = repeat % 41;
      long[] words = new long[4 * count];
      Philox.words(key, c0, c1, c2, c3, count, words);
      double[] uniform = new double[4 * count + 1];
      Philox.uniforms(uniform, 1, words, 0, 4 * count);
      double[] exponential = new double[4 * count + 1];
      Philox.exponentials(exponential, 1, words, 0, 4 * count);
      double[] fine = new double[count + 1];
      Philox.uniforms53(fine, 1, words, count, count);
      for (int i = 0; i < count; i++) {
        int[] expected = block(key, c0 + i, c1, c2, c3);
        for (int w = 0; w < 4; w++) {
          int at = w * count + i;
          assertEquals(expected[w] & 0xFFFFFFFFL, words[at]);
          assertEquals(Philox.uniform(expected[w]), uniform[1 + at]);
          assertEquals(Philox.exponential(expected[w]), exponential[1 + at]);
        }
        assertEquals(Philox.uniform53(expected[0], expected[1]), fine[1 + i]);
      }
    }
  }

  @Test
  void shouldGiveTheWordsOfBlocksThatAreNotInARow() {
    Random random = new Random(2);
    for (int count = 0; count < 41; count++) {
      long key = random.nextLong();
      int c1 = random.nextInt();
      int c2 = random.nextInt();
      long[] counters = random.longs(4 * count, 0, 1L << 32).toArray();
      long[] words = counters.clone();
      Philox.words(key, c1, c2, count, words);
      for (int i = 0; i < count; i++) {
        int[] expected = block(key, (int) counters[i], c1, c2, (int) counters[3 * count + i]);
        for (int w = 0; w < 4; w++) {
          assertEquals(expected[w] & 0xFFFFFFFFL, words[w * count + i]);
        }
      }
    }
  }

  @Test
  void shouldMakeExponentialsOfTheExtremeWords() {
    assertEquals(33 * Math.log(2), Philox.exponential(0), 1e-14);
    assertEquals(0x1p-33, Philox.exponential(-1), 1e-19);
  }
}
