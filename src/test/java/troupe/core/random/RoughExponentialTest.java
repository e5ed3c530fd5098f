package troupe.core.random;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Random;
import org.junit.jupiter.api.Test;

class RoughExponentialTest {
  private static final int[] EDGES = {
    0,
    1,
    2,
    -1,
    -2,
    -3,
    Integer.MAX_VALUE,
    Integer.MIN_VALUE,
    Integer.MIN_VALUE + 1,
    1 << 23,
    1 << 24
  };

  private static void check(int word) {
    double exact = Philox.exponential(word);
    assertEquals(1, RoughExponential.of(word) / exact, RoughExponential.ERROR, "of " + word);
  }

  @Test
  void shouldBeWithinItsErrorOfTheExponential() {
    for (int word : EDGES) {
      check(word);
    }
    Random random = new Random(1);
    for (int i = 0; i < 2_000_000; i++) {
      check(random.nextInt());
      check(random.nextInt() >> random.nextInt(32));
    }
  }

  @Test
  void shouldGiveTheSameBitsInVectors() {
    Random random = new Random(2);
    // Often enough for the compiler to take over from the interpreter.
    for (int repeat = 0; repeat < 3000; repeat++) {
      int half = repeat % 37;
      long[] words = random.longs(2 * half, 0, 1L << 32).toArray();
      float[] out = new float[2 * half + 1];
      RoughExponential.ofPairs(out, 1, words, half);
      for (int i = 0; i < half; i++) {
        assertEquals(RoughExponential.of((int) words[i]), out[1 + 2 * i]);
        assertEquals(RoughExponential.of((int) words[half + i]), out[2 + 2 * i]);
      }
    }
  }
}
