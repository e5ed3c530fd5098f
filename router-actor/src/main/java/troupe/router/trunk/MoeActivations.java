package troupe.router.trunk;

import java.util.Arrays;
import troupe.core.tensor.Tensor;
import troupe.router.gate.DispatchPlan;
import troupe.router.gate.Routing;

/**
 * What the gate's side of a mixture-of-experts layer keeps of a micro-batch. Rows that went to
 * experts stay here until the step is committed: an expert that lost them gets them again.
 */
public final class MoeActivations implements AutoCloseable {
  final Routing routing;
  final DispatchPlan plan;
  final double[] multiplier_R;

  /** The router's input where jitter made it another tensor than the expert's, else null. */
  final Tensor jittered_TD;

  /** The jitter of the router's input, or null. */
  final Tensor inputJitter_TD;

  /** Rows sent forward, sorted by expert. */
  final Tensor sent_RD;

  /** Gradient rows sent back, sorted by expert; null until backward. */
  Tensor sentGradient_RD;

  /** {@code s} of each slot, from the backward pass of combine. */
  double[] s_TK;

  private final Tensor[] output_E;
  private final Tensor[] inputGradient_E;

  MoeActivations(
      Routing routing,
      DispatchPlan plan,
      Tensor jittered_TD,
      Tensor inputJitter_TD,
      Tensor sent_RD) {
    this.routing = routing;
    this.plan = plan;
    this.multiplier_R = plan.toRows(routing.multiplier_TK());
    this.jittered_TD = jittered_TD;
    this.inputJitter_TD = inputJitter_TD;
    this.sent_RD = sent_RD;
    this.output_E = new Tensor[routing.experts()];
    this.inputGradient_E = new Tensor[routing.experts()];
  }

  /** What the gate decided. */
  public Routing routing() {
    return routing;
  }

  /** Which rows went where. */
  public DispatchPlan plan() {
    return plan;
  }

  /** The rows for an expert. */
  public Tensor rowsFor(int expert) {
    return sent_RD.rows(plan.offset_E1()[expert], plan.rows(expert));
  }

  /** The gradient rows for an expert, or {@code null} before backward. */
  public Tensor gradientRowsFor(int expert) {
    return sentGradient_RD == null
        ? null
        : sentGradient_RD.rows(plan.offset_E1()[expert], plan.rows(expert));
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
        || rows.rows() != plan.rows(expert)
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

  Tensor output(int expert) {
    return output_E[expert];
  }

  Tensor inputGradient(int expert) {
    return inputGradient_E[expert];
  }

  int[] tokensOf(int expert) {
    int[] offset_E1 = plan.offset_E1();
    return Arrays.copyOfRange(plan.tokenOfRow_R(), offset_E1[expert], offset_E1[expert + 1]);
  }

  double[] multipliersOf(int expert) {
    int[] offset_E1 = plan.offset_E1();
    return Arrays.copyOfRange(multiplier_R, offset_E1[expert], offset_E1[expert + 1]);
  }

  @Override
  public void close() {
    close(sent_RD, sentGradient_RD, jittered_TD, inputJitter_TD);
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
