package troupe.transport;

/**
 * Says which batch this is; equal headers mean equal bytes, so a receiver may drop what it has
 * seen.
 *
 * @param runId the run; batches of another run are dropped
 * @param epoch the placement epoch; batches of another epoch are dropped
 * @param step the training step, or the number of the evaluation
 * @param layer the layer, or -1 for trunk slices
 * @param microBatch the micro-batch of the rank; for trunk gradients the segment of the slice
 * @param rank the rank whose tokens these are; for trunk slices the sending rank
 * @param expert the expert of the layer; for trunk slices the receiving rank
 * @param phase what the rows are
 * @param dtypeCode element type code, see core's DType
 * @param rows number of rows, zero allowed
 * @param columns number of columns
 */
public record BatchHeader(
    long runId,
    int epoch,
    long step,
    int layer,
    int microBatch,
    int rank,
    int expert,
    Phase phase,
    int dtypeCode,
    int rows,
    int columns) {

  /** The largest code of an element type. */
  static final int MAX_DTYPE_CODE = 3;

  /** Bytes of the rows. */
  public long payloadBytes() {
    return (long) rows * columns * elementBytes(dtypeCode);
  }

  /** Bytes of an element: float32 is code 1, float64 code 2, bfloat16 code 3. */
  static int elementBytes(int dtypeCode) {
    return switch (dtypeCode) {
      case 2 -> 8;
      case 3 -> 2;
      default -> 4;
    };
  }
}
