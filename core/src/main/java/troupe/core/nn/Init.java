package troupe.core.nn;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.stream.IntStream;
import java.util.zip.CRC32;
import troupe.core.random.Philox;

/**
 * How a parameter starts. A value is a function of (seed, parameter name, index): placement plays
 * no part.
 */
public sealed interface Init {
  /** The starting values of {@code count} elements. */
  double[] values(long seed, String name, int count);

  /** The same value everywhere. */
  record Constant(double value) implements Init {
    @Override
    public double[] values(long seed, String name, int count) {
      double[] values = new double[count];
      Arrays.fill(values, value);
      return values;
    }
  }

  /** Independent normal draws with mean zero (Box and Muller over Philox). */
  record Normal(double standardDeviation) implements Init {
    /** Tells these draws from those of gates and data under the same seed. */
    private static final int DOMAIN = 0x494E4954;

    /**
     * Elements that one thread draws at a time; a multiple of four, which one block of words makes.
     */
    private static final int RUN = 1 << 16;

    @Override
    public double[] values(long seed, String name, int count) {
      CRC32 crc = new CRC32();
      crc.update(name.getBytes(StandardCharsets.UTF_8));
      int stream = (int) crc.getValue();
      double[] values = new double[count];
      // A billion logarithms take a minute on one core.
      IntStream.range(0, Math.ceilDiv(count, RUN))
          .parallel()
          .forEach(
              run ->
                  fill(values, seed, stream, run * RUN, (int) Math.min(count, (run + 1L) * RUN)));
      return values;
    }

    /** Draws the elements from {@code from}, a multiple of four, up to {@code to}. */
    private void fill(double[] values, long seed, int stream, int from, int to) {
      int[] words = new int[4];
      for (int i = from; i < to; i += 4) {
        Philox.block(seed, i >>> 2, stream, DOMAIN, 0, words, 0);
        for (int pair = 0; pair < 4; pair += 2) {
          double radius =
              standardDeviation * Math.sqrt(-2 * StrictMath.log(Philox.uniform(words[pair])));
          double angle = 2 * Math.PI * Philox.uniform(words[pair + 1]);
          if (i + pair < to) {
            values[i + pair] = radius * StrictMath.cos(angle);
          }
          if (i + pair + 1 < to) {
            values[i + pair + 1] = radius * StrictMath.sin(angle);
          }
        }
      }
    }
  }
}
