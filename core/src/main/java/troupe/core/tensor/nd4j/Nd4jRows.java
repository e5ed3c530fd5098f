package troupe.core.tensor.nd4j;

import java.util.Arrays;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.api.ops.DynamicCustomOp;
import org.nd4j.linalg.api.ops.impl.shape.OneHot;
import org.nd4j.linalg.factory.Nd4j;

/** Rows picked by index and put back by index. */
final class Nd4jRows {
  private Nd4jRows() {}

  /** {@code in[rows[r]]}, in scratch. */
  static INDArray gather(INDArray in, int[] rows) {
    return Nd4j.pullRows(in, 1, rows, 'c');
  }

  /**
   * {@code out[rows[r]] += in[r]}, in row order.
   *
   * <p>Goes in rounds in which no row of {@code out} occurs twice, the first holding every row's
   * first occurrence and so on: ND4J adds in any order what occurs more than once.
   */
  static void scatterAdd(INDArray out, INDArray in, int[] rows) {
    int[] occurrences = new int[out.rows()];
    int[] round = new int[rows.length];
    int rounds = 0;
    for (int r = 0; r < rows.length; r++) {
      round[r] = occurrences[rows[r]]++;
      rounds = Math.max(rounds, round[r] + 1);
    }
    int[] sizes = new int[rounds];
    for (int r : round) {
      sizes[r]++;
    }
    int[][] sources = new int[rounds][];
    Arrays.setAll(sources, i -> new int[sizes[i]]);
    int[] filled = new int[rounds];
    for (int r = 0; r < rows.length; r++) {
      sources[round[r]][filled[round[r]]++] = r;
    }
    for (int[] source : sources) {
      int[] targets = Arrays.stream(source).map(r -> rows[r]).toArray();
      Nd4j.exec(
          DynamicCustomOp.builder("scatter_add")
              .addInputs(out, Nd4j.createFromArray(targets), gather(in, source))
              .addOutputs(out)
              .build());
    }
  }

  /** A matrix that is one at {@code [r, columns[r]]} and zero elsewhere. */
  static INDArray oneHot(int[] columns, int width) {
    INDArray out = Nd4j.createUninitialized(DataType.FLOAT, columns.length, width);
    Nd4j.exec(new OneHot(Nd4j.createFromArray(columns), out, width));
    return out;
  }

  /** A column of these values. */
  static INDArray column(double[] values) {
    float[] rounded = new float[values.length];
    for (int i = 0; i < values.length; i++) {
      rounded[i] = (float) values[i];
    }
    return Nd4j.createFromArray(rounded).reshape(values.length, 1);
  }
}
