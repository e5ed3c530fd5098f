package troupe.core.math;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

class FloatLogTest {
  private static final float[] EDGES = {
    1,
    Math.nextUp(1f),
    Math.nextDown(1f),
    0x1p-33f,
    0.5f,
    2,
    (float) Math.sqrt(0.5),
    Math.nextUp((float) Math.sqrt(0.5)),
    Math.nextDown((float) Math.sqrt(0.5)),
    (float) Math.sqrt(2),
    (float) Math.E,
    1e30f,
    Float.MAX_VALUE,
    Float.POSITIVE_INFINITY,
    Float.MIN_NORMAL,
    Float.MIN_VALUE,
    Math.nextDown(Float.MIN_NORMAL),
    0,
    -0f,
    -1,
    Float.NEGATIVE_INFINITY,
    Float.NaN
  };

  private static double error(double expected, float found) {
    if (Double.compare((float) expected, found) == 0) {
      return 0;
    }
    return Math.abs(found - expected) / Math.ulp((float) expected);
  }

  private static void assertWithin(double ulps, double expected, float found, float argument) {
    assertTrue(
        error(expected, found) <= ulps, argument + ": " + found + " (expected: " + expected + ")");
  }

  @Test
  void shouldBeWithinAnUlpOfTheLogarithm() {
    Random random = new Random(1);
    for (int i = 0; i < 500_000; i++) {
      float x = random.nextFloat();
      assertWithin(1, StrictMath.log(x), FloatLog.of(x), x);
      x = (float) Math.exp(random.nextDouble(-1, 1));
      assertWithin(1, StrictMath.log(x), FloatLog.of(x), x);
      x = Float.intBitsToFloat(random.nextInt() >>> 1);
      assertWithin(1, StrictMath.log(x), FloatLog.of(x), x);
    }
    for (float x : EDGES) {
      assertWithin(1, StrictMath.log(x), FloatLog.of(x), x);
    }
  }

  @Test
  void shouldHaveAllDigitsNearBothEnds() {
    Random random = new Random(2);
    for (int i = 0; i < 1_000_000; i++) {
      // From an end on, at any distance: no other one than 2^-33 is nearer in a draw.
      float d = (float) Math.exp(random.nextDouble(33 * Math.log(0.5), Math.log(0.5)));
      assertWithin(d < 0.29f ? 1 : 3, -StrictMath.log1p(-(double) d), FloatLog.minusFromEnd(d), d);
      assertWithin(1, -StrictMath.log(d), FloatLog.minusFromEnd(-d), -d);
    }
    assertEquals(Math.log(2), FloatLog.minusFromEnd(0.5f), 1e-7);
    assertEquals(Math.log(2), FloatLog.minusFromEnd(-0.5f), 1e-7);
  }

  @Test
  void shouldGiveTheSameBitsWhereverInAnArray() {
    Random random = new Random(3);
    float[] x = new float[EDGES.length + 5000];
    System.arraycopy(EDGES, 0, x, 0, EDGES.length);
    for (int i = EDGES.length; i < x.length; i++) {
      x[i] = i % 2 == 0 ? random.nextFloat() : (float) Math.exp(random.nextGaussian() * 30);
    }
    float[] ends = new float[x.length];
    for (int i = 0; i < ends.length; i++) {
      ends[i] = random.nextFloat() - 0.5f;
    }
    // Often enough for the compiler to take over: what it makes has to agree with the interpreter.
    for (int repeat = 0; repeat < 300; repeat++) {
      int from = repeat % 11;
      int to = x.length - repeat % 7;
      float[] out = new float[x.length];
      Arrays.fill(out, -7);
      FloatLog.of(out, 0, x, from, to);
      float[] moved = new float[x.length + 3];
      FloatLog.of(moved, 3, x, from, to);
      float[] changed = ends.clone();
      FloatLog.minusFromEnds(changed, from, to);
      for (int i = 0; i < x.length; i++) {
        boolean outside = i < from || i >= to;
        assertEquals(outside ? -7 : FloatLog.of(x[i]), out[i], "log of " + x[i]);
        assertEquals(outside ? 0 : out[i], moved[3 + i], "moved log of " + x[i]);
        assertEquals(outside ? ends[i] : FloatLog.minusFromEnd(ends[i]), changed[i], "at " + i);
      }
    }
  }

  @Test
  void shouldWorkInPlace() {
    float[] x = new float[37];
    Random random = new Random(4);
    for (int i = 0; i < x.length; i++) {
      x[i] = 5 * random.nextFloat();
    }
    float[] out = new float[37];
    FloatLog.of(out, 0, x, 0, 37);
    FloatLog.of(x, 0, x, 0, 37);
    assertEquals(Arrays.toString(out), Arrays.toString(x));
  }
}
