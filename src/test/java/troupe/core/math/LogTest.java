package troupe.core.math;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static troupe.core.math.Ulps.assertWithin;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

class LogTest {
  private static final double[] EDGES = {
    1,
    Math.nextUp(1.0),
    Math.nextDown(1.0),
    1 - 0x1p-33,
    0x1p-33,
    0.5,
    2,
    Math.sqrt(0.5),
    Math.nextUp(Math.sqrt(0.5)),
    Math.nextDown(Math.sqrt(0.5)),
    Math.sqrt(2),
    Math.E,
    1e300,
    Double.MAX_VALUE,
    Double.POSITIVE_INFINITY,
    Double.MIN_NORMAL,
    Double.MIN_VALUE,
    Math.nextDown(Double.MIN_NORMAL),
    0,
    -0.0,
    -1,
    Double.NEGATIVE_INFINITY,
    Double.NaN
  };

  @Test
  void shouldBeWithinAnUlpOfTheLogarithm() {
    Random random = new Random(1);
    for (int i = 0; i < 200_000; i++) {
      double x = (random.nextInt() - (double) Integer.MIN_VALUE + 0.5) * 0x1p-32;
      assertWithin(1, StrictMath.log(x), Log.of(x), x);
      // The second of a Gumbel draw's two logarithms.
      x = -StrictMath.log(x);
      assertWithin(1, StrictMath.log(x), Log.of(x), x);
      x = Double.longBitsToDouble(random.nextLong() >>> 1);
      assertWithin(1, StrictMath.log(x), Log.of(x), x);
    }
    for (double x : EDGES) {
      assertWithin(1, StrictMath.log(x), Log.of(x), x);
    }
  }

  @Test
  void shouldGiveTheSameBitsWhereverInAnArray() {
    Random random = new Random(2);
    double[] x = new double[EDGES.length + 5000];
    System.arraycopy(EDGES, 0, x, 0, EDGES.length);
    for (int i = EDGES.length; i < x.length; i++) {
      x[i] = i % 2 == 0 ? random.nextDouble() : Math.exp(random.nextGaussian() * 300);
    }
    // Often enough for the compiler to take over: what it makes has to agree with the interpreter.
    for (int repeat = 0; repeat < 300; repeat++) {
      int from = repeat % 11;
      int to = x.length - repeat % 7;
      double[] out = new double[x.length];
      Arrays.fill(out, -7);
      Log.of(out, x, from, to);
      for (int i = 0; i < x.length; i++) {
        assertEquals(i < from || i >= to ? -7 : Log.of(x[i]), out[i], "log of " + x[i]);
      }
    }
  }

  @Test
  void shouldWorkInPlace() {
    double[] x = new Random(3).doubles(37, 0, 5).toArray();
    double[] out = new double[37];
    Log.of(out, x, 0, 37);
    Log.of(x, x, 0, 37);
    assertEquals(Arrays.toString(out), Arrays.toString(x));
  }
}
