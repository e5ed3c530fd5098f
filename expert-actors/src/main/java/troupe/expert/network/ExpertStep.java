package troupe.expert.network;

import java.util.function.Consumer;
import troupe.core.nn.FeedForward;
import troupe.core.tensor.Device;
import troupe.core.tensor.Tensor;

/**
 * The work of one step on an expert: forward and backward of every batch, and the sum of the weight
 * gradients.
 *
 * <p>Batches come in any order; weight gradients are summed in rank order, then micro-batch order,
 * so that the sum does not depend on who was fast. A batch that is early waits. All methods are
 * idempotent: a batch that was seen is computed again only to answer again.
 */
public final class ExpertStep implements AutoCloseable {
  /** One (rank, micro-batch): what forward kept and backward brought. */
  private static final class Slot {
    private TensorPayload x;
    private FeedForward.Saved saved;
    private TensorPayload dY;
    private boolean backwardDone;
    private boolean accumulated;
  }

  private final ExpertState state;
  private final FeedForward network;
  private final Device device;
  private final int microBatches;
  private final Slot[] slots;
  private final long step;
  private int accumulated;

  /**
   * Begins a step of {@code ranks * microBatches} batches. If an earlier incarnation completed the
   * gradient of this step already, this one leaves it alone and only answers.
   */
  public ExpertStep(ExpertState state, long step, int ranks, int microBatches) {
    this.state = state;
    this.step = step;
    this.network = state.network();
    this.device = state.device();
    this.microBatches = microBatches;
    this.slots = new Slot[ranks * microBatches];
    for (int i = 0; i < slots.length; i++) {
      slots[i] = new Slot();
    }
    if (!ready()) {
      state.gradientStep(-1);
    }
  }

  private boolean ready() {
    return state.gradientStep() == step;
  }

  private Slot slot(int rank, int microBatch) {
    return slots[rank * microBatches + microBatch];
  }

  /** Output rows of a batch that no backward pass will follow. */
  public static Tensor evaluate(ExpertState state, Tensor x_RD) {
    return answer(x_RD, y_RD -> state.network().forward(y_RD, x_RD).close());
  }

  /** New rows of the shape of {@code rows} that {@code work} fills; given back if it throws. */
  private static Tensor answer(Tensor rows, Consumer<Tensor> work) {
    Tensor answer = rows.device().allocateActivations(rows.rows(), rows.columns());
    try {
      work.accept(answer);
    } catch (RuntimeException e) {
      answer.close();
      throw e;
    }
    return answer;
  }

  /** Output rows of a batch; keeps {@code x} until the step ends. The caller owns the result. */
  public Tensor forward(int rank, int microBatch, TensorPayload x) {
    Slot slot = slot(rank, microBatch);
    if (slot.x != null) {
      // Sent again because the answer was lost: answer again, keep what backward may have used
      // already.
      Tensor y_RD = evaluate(state, x.tensor());
      x.release();
      return y_RD;
    }
    slot.x = x;
    return answer(x.tensor(), y_RD -> slot.saved = network.forward(y_RD, x.tensor()));
  }

  /** Whether the forward pass of this batch was done, so that its backward pass can be. */
  public boolean hasForward(int rank, int microBatch) {
    return slot(rank, microBatch).saved != null;
  }

  /**
   * Gradients of the input rows of a batch; keeps {@code dY} until the step ends. The caller owns
   * the result.
   */
  public Tensor backward(int rank, int microBatch, TensorPayload dY) {
    Slot slot = slot(rank, microBatch);
    if (slot.backwardDone) {
      Tensor dX_RD = answer(dY.tensor(), rows -> recomputeBackward(slot, rows, dY.tensor()));
      dY.release();
      return dX_RD;
    }
    slot.dY = dY;
    Tensor dX_RD =
        answer(dY.tensor(), rows -> network.backwardInput(rows, dY.tensor(), slot.saved));
    slot.backwardDone = true;
    return dX_RD;
  }

  private void recomputeBackward(Slot slot, Tensor dX_RD, Tensor dY_RD) {
    Tensor x_RD = slot.x.tensor();
    try (Tensor y_RD = device.allocateActivations(x_RD.rows(), x_RD.columns());
        FeedForward.Saved saved = network.forward(y_RD, x_RD)) {
      network.backwardInput(dX_RD, dY_RD, saved);
    }
  }

  /**
   * Adds the weight gradients of every batch whose turn has come.
   *
   * @return whether this call completed the gradient of the step
   */
  public boolean accumulate() {
    if (ready()) {
      return false;
    }
    while (accumulated < slots.length && slots[accumulated].backwardDone) {
      Slot slot = slots[accumulated];
      // The first batch overwrites what the last step left.
      network.backwardWeights(
          state.gradients(),
          state.prefix(),
          slot.dY.tensor(),
          slot.x.tensor(),
          slot.saved,
          accumulated > 0);
      slot.saved.close();
      slot.accumulated = true;
      accumulated++;
    }
    if (accumulated < slots.length) {
      return false;
    }
    state.gradientStep(step);
    return true;
  }

  @Override
  public void close() {
    for (Slot slot : slots) {
      if (slot.saved != null && !slot.accumulated) {
        slot.saved.close();
      }
      if (slot.x != null) {
        slot.x.release();
      }
      if (slot.dY != null) {
        slot.dY.release();
      }
    }
  }
}
