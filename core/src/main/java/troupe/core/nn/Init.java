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

  /**
   * Rows of one norm: orthogonal directions as long as there are no more rows than columns; of a
   * taller matrix the columns are orthogonal before rows are scaled (Saxe et al., arXiv 1312.6120,
   * by Gram and Schmidt on normal draws).
   */
  record Orthogonal(int columns, double norm) implements Init {
    @Override
    public double[] values(long seed, String name, int count) {
      int rows = count / columns;
      double[] values = new Normal(1).values(seed, name, count);
      boolean tall = rows > columns;
      int vectors = Math.min(rows, columns);
      for (int v = 0; v < vectors; v++) {
        // Twice: the second pass takes out what rounding left in the first.
        for (int pass = 0; pass < 2; pass++) {
          for (int earlier = 0; earlier < v; earlier++) {
            subtract(values, rows, tall, v, earlier, dot(values, rows, tall, v, earlier));
          }
        }
        scale(values, rows, tall, v, 1 / Math.sqrt(dot(values, rows, tall, v, v)));
      }
      for (int row = 0; row < rows; row++) {
        scale(values, rows, false, row, norm / Math.sqrt(dot(values, rows, false, row, row)));
      }
      return values;
    }

    /** The place of element i of a vector: a row, or a column of a tall matrix. */
    private int index(boolean tall, int vector, int i) {
      return tall ? i * columns + vector : vector * columns + i;
    }

    private int length(int rows, boolean tall) {
      return tall ? rows : columns;
    }

    private double dot(double[] values, int rows, boolean tall, int a, int b) {
      double sum = 0;
      for (int i = 0; i < length(rows, tall); i++) {
        sum += values[index(tall, a, i)] * values[index(tall, b, i)];
      }
      return sum;
    }

    private void subtract(double[] values, int rows, boolean tall, int a, int b, double factor) {
      for (int i = 0; i < length(rows, tall); i++) {
        values[index(tall, a, i)] -= factor * values[index(tall, b, i)];
      }
    }

    private void scale(double[] values, int rows, boolean tall, int vector, double factor) {
      for (int i = 0; i < length(rows, tall); i++) {
        values[index(tall, vector, i)] *= factor;
      }
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
