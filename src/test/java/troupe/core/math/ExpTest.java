package troupe.core.math;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static troupe.core.math.Ulps.assertWithin;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

class ExpTest {
  private static final double[] EDGES = {
    0,
    -0.0,
    1,
    -1,
    Double.MIN_VALUE,
    -Double.MIN_VALUE,
    1e-300,
    1e-17,
    -1e-17,
    Math.log(2) / 2,
    -Math.log(2) / 2,
    707.99,
    708,
    -708,
    709.78,
    709.782712893384,
    709.7827128933841,
    709.8,
    746,
    747,
    1e300,
    Double.POSITIVE_INFINITY,
    -708.39,
    -708.4,
    -720.123,
    -744.9,
    -745.13321910194122,
    -745.13321910194125,
    -745.2,
    -746,
    -1000,
    -1e300,
    Double.NEGATIVE_INFINITY,
    Double.NaN
  };

  @Test
  void shouldBeWithinAnUlpOfTheExponential() {
    Random random = new Random(1);
    for (int i = 0; i < 200_000; i++) {
      double x = random.nextDouble(-746, 710);
      assertWithin(1, StrictMath.exp(x), Exp.of(x), x);
      x = random.nextGaussian();
      assertWithin(1, StrictMath.exp(x), Exp.of(x), x);
    }
    for (double x : EDGES) {
      assertWithin(1, StrictMath.exp(x), Exp.of(x), x);
    }
  }

  @Test
  void shouldGiveTheSameBitsWhereverInAnArray() {
    Random random = new Random(2);
    double[] x = new double[EDGES.length + 5000];
    System.arraycopy(EDGES, 0, x, 0, EDGES.length);
    for (int i = EDGES.length; i < x.length; i++) {
      x[i] = random.nextGaussian() * (i % 2 == 0 ? 1 : 300);
    }
    // Often enough for the compiler to take over: what it makes has to agree with the interpreter.
    for (int repeat = 0; repeat < 300; repeat++) {
      int from = repeat % 11;
      int to = x.length - repeat % 7;
      double[] out = new double[x.length];
      Arrays.fill(out, -7);
      Exp.of(out, x, from, to);
      for (int i = 0; i < x.length; i++) {
        assertEquals(i < from || i >= to ? -7 : Exp.of(x[i]), out[i], "exp of " + x[i]);
      }
    }
  }

  @Test
  void shouldWorkInPlace() {
    double[] x = new Random(3).doubles(37, -5, 5).toArray();
    double[] out = new double[37];
    Exp.of(out, x, 0, 37);
    Exp.of(x, x, 0, 37);
    assertEquals(Arrays.toString(out), Arrays.toString(x));
  }
}
