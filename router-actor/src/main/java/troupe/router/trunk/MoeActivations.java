package troupe.router.trunk;

import java.util.Arrays;
import troupe.core.tensor.Tensor;

/**
 * What the gate's side of a mixture-of-experts layer keeps of a micro-batch. Rows that went to
 * experts stay here until the step is committed: an expert that lost them gets them again.
 */
public final class MoeActivations implements AutoCloseable {
  final RoutedTokens routed;

  /** The router's input where jitter made it another tensor than the expert's, else null. */
  final TokenRouter.Jittered jittered;

  /** Rows sent forward, sorted by expert; there may be room for more than there are. */
  Tensor sent_RD;

  /** Gradient rows sent back, sorted by expert; null until backward. */
  Tensor sentGradient_RD;

  private boolean dispatched;
  private final Tensor[] output_E;
  private final Tensor[] inputGradient_E;

  MoeActivations(RoutedTokens routed, TokenRouter.Jittered jittered, int experts) {
    this.routed = routed;
    this.jittered = jittered;
    this.output_E = new Tensor[experts];
    this.inputGradient_E = new Tensor[experts];
  }

  /** Who goes where. */
  public RoutedTokens routed() {
    return routed;
  }

  private Tensor rowsOf(Tensor rows_RD, int expert) {
    return rows_RD.rows(routed.offset_E1()[expert], rows(expert));
  }

  private int rows(int expert) {
    return routed.offset_E1()[expert + 1] - routed.offset_E1()[expert];
  }

  /** Finds out how many rows each expert gets. */
  void dispatched() {
    routed.offset_E1();
    dispatched = true;
  }

  /** Whether {@link #rowsFor} has something to say. */
  public boolean isDispatched() {
    return dispatched;
  }

  /** The rows for an expert. */
  public Tensor rowsFor(int expert) {
    return rowsOf(sent_RD, expert);
  }

  /** The gradient rows for an expert, or {@code null} before backward. */
  public Tensor gradientRowsFor(int expert) {
    return sentGradient_RD == null ? null : rowsOf(sentGradient_RD, expert);
  }

  /**
   * Takes the output rows of an expert.
   *
   * @return whether they were awaited; if not the caller still owns them
   */
  public boolean acceptOutput(int expert, Tensor y_RD) {
    return accept(output_E, expert, y_RD);
  }

  /**
   * Takes the input gradients of an expert.
   *
   * @return whether they were awaited; if not the caller still owns them
   */
  public boolean acceptInputGradient(int expert, Tensor dX_RD) {
    return sentGradient_RD != null && accept(inputGradient_E, expert, dX_RD);
  }

  private boolean accept(Tensor[] place_E, int expert, Tensor rows) {
    if (expert < 0
        || expert >= place_E.length
        || place_E[expert] != null
        || !dispatched
        || rows.rows() != rows(expert)
        || rows.columns() != sent_RD.columns()) {
      return false;
    }
    place_E[expert] = rows;
    return true;
  }

  /** The first expert whose output rows are missing, or -1. */
  public int missingOutput() {
    return Arrays.asList(output_E).indexOf(null);
  }

  /** The first expert whose input gradients are missing, or -1. */
  public int missingInputGradient() {
    return Arrays.asList(inputGradient_E).indexOf(null);
  }

  int experts() {
    return output_E.length;
  }

  Tensor output(int expert) {
    return output_E[expert];
  }

  Tensor[] outputs_E() {
    return output_E;
  }

  Tensor[] inputGradients_E() {
    return inputGradient_E;
  }

  @Override
  public void close() {
    routed.close();
    if (jittered != null) {
      jittered.close();
    }
    close(sent_RD, sentGradient_RD);
    close(output_E);
    close(inputGradient_E);
  }

  private static void close(Tensor... tensors) {
    for (Tensor tensor : tensors) {
      if (tensor != null) {
        tensor.close();
      }
    }
  }
}
