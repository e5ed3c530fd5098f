package troupe.core.optim;

import troupe.core.tensor.AdamWStep;
import troupe.core.tensor.Device;
import troupe.core.tensor.Kernels;
import troupe.core.tensor.Tensor;

/**
 * A range of parameters with its AdamW moments: the committed state of an owner, which outlives any
 * incarnation of the actor that works on it.
 *
 * <p>{@link #apply} is all or nothing. It updates in place, chunk by chunk, and remembers which are
 * done; a kernel either throws before it writes or completes. So after an exception the next call
 * with the same step goes on where that one stopped: a step that was decided is always finished,
 * with the same bits, and no second copy of the state is needed.
 */
public final class OwnedParameters implements AutoCloseable {
  private final Kernels kernels;
  private final Tensor parameters;
  private final Tensor firstMoment;
  private final Tensor secondMoment;
  private final long decayed;
  private final long optimized;
  private final double weightDecay;
  private final int chunk;

  private long committedStep;
  private long done;

  /**
   * Owns {@code parameters} (one row), all of which AdamW updates.
   *
   * @param decayed number of leading elements that weight decay applies to
   */
  public OwnedParameters(Device device, Tensor parameters, long decayed, double weightDecay) {
    this(device, parameters, decayed, parameters.size(), weightDecay);
  }

  /**
   * Owns {@code parameters} (one row).
   *
   * @param decayed number of leading elements that weight decay applies to
   * @param optimized number of leading elements that AdamW updates; to those after, the gradient is
   *     added as it is
   */
  public OwnedParameters(
      Device device, Tensor parameters, long decayed, long optimized, double weightDecay) {
    this.kernels = device.kernels();
    this.chunk = device.updateChunk();
    this.parameters = parameters;
    this.decayed = Math.clamp(decayed, 0, parameters.size());
    this.optimized = Math.clamp(optimized, 0, parameters.size());
    this.weightDecay = weightDecay;
    int size = parameters.columns();
    this.firstMoment = device.zeros(1, size);
    this.secondMoment = device.zeros(1, size);
  }

  /** The step that these parameters are the result of. */
  public long committedStep() {
    return committedStep;
  }

  /**
   * Whether all elements are of {@link #committedStep}: false after an interrupted {@link #apply},
   * until it is repeated or something is loaded.
   */
  public boolean isWhole() {
    return done == 0;
  }

  /** The parameters, one row. */
  public Tensor parameters() {
    return parameters;
  }

  /** First moments, one row. */
  public Tensor firstMoment() {
    return firstMoment;
  }

  /** Second moments, one row. */
  public Tensor secondMoment() {
    return secondMoment;
  }

  /** Says that what was loaded into the tensors is the state after {@code step}. */
  public void loaded(long step) {
    committedStep = step;
    done = 0;
  }

  /**
   * Commits {@code hyper.step()}. A step that is committed already is left alone, so the call may
   * be repeated.
   *
   * @param gradient one row, unchanged between interrupted calls
   * @param afterChunk called between chunks; what it throws interrupts the update
   * @throws IllegalStateException if the step is not the one after the committed one
   */
  public void apply(Tensor gradient, AdamWStep hyper, Runnable afterChunk) {
    if (hyper.step() == committedStep) {
      return;
    }
    if (hyper.step() != committedStep + 1) {
      throw new IllegalStateException(
          "step: " + hyper.step() + " (expected: " + (committedStep + 1) + ")");
    }
    while (done < parameters.size()) {
      boolean decays = done < decayed;
      boolean optimizes = done < optimized;
      long end = decays ? decayed : optimizes ? optimized : parameters.size();
      int count = (int) Math.min(chunk, end - done);
      Tensor part = parameters.slice(done, 1, count);
      Tensor change = gradient.slice(done, 1, count);
      if (optimizes) {
        Tensor m = firstMoment.slice(done, 1, count);
        Tensor v = secondMoment.slice(done, 1, count);
        kernels.adamw(part, m, v, change, hyper, decays ? weightDecay : 0);
      } else {
        kernels.add(part, change);
      }
      done += count;
      afterChunk.run();
    }
    committedStep = hyper.step();
    done = 0;
  }

  /** Frees the moments; the parameters belong to who made them. */
  @Override
  public void close() {
    firstMoment.close();
    secondMoment.close();
  }
}
