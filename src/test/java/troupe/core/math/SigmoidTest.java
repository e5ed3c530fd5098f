package troupe.core.math;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static troupe.core.math.Ulps.assertWithin;

import java.util.Random;
import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.VectorSpecies;
import org.junit.jupiter.api.Test;

class SigmoidTest {
  private static final VectorSpecies<Double> SPECIES = DoubleVector.SPECIES_PREFERRED;

  @Test
  void shouldBeWithinThreeUlpsOfTheLogisticFunction() {
    Random random = new Random(1);
    for (int i = 0; i < 200_000; i++) {
      double x = i % 2 == 0 ? random.nextDouble(-708, 708) : random.nextGaussian();
      assertWithin(3, 1 / (1 + StrictMath.exp(-x)), Sigmoid.of(x), x);
    }
  }

  @Test
  void shouldStayInRangeWhateverTheNumber() {
    assertEquals(0.5, Sigmoid.of(0));
    assertEquals(1, Sigmoid.of(1e300));
    assertEquals(1, Sigmoid.of(Double.POSITIVE_INFINITY));
    assertEquals(Sigmoid.of(-708), Sigmoid.of(-1e300));
    assertEquals(Sigmoid.of(-708), Sigmoid.of(Double.NEGATIVE_INFINITY));
    assertEquals(3.3e-308, Sigmoid.of(-708), 1e-309);
    assertEquals(Double.NaN, Sigmoid.of(Double.NaN));
  }

  @Test
  void shouldGiveTheSameBitsInVectors() {
    Random random = new Random(2);
    double[] out = new double[SPECIES.length()];
    for (int repeat = 0; repeat < 20_000; repeat++) {
      double[] x = random.doubles(out.length, -4, 4).map(y -> y * y * y * 12).toArray();
      Sigmoid.of(DoubleVector.fromArray(SPECIES, x, 0)).intoArray(out, 0);
      for (int i = 0; i < x.length; i++) {
        assertEquals(Sigmoid.of(x[i]), out[i], "sigmoid of " + x[i]);
      }
    }
  }
}
