package troupe.expert.network;

import java.lang.foreign.MemorySegment;
import troupe.core.tensor.Tensor;
import troupe.transport.Payload;

/**
 * A tensor on its way between actors.
 *
 * @param tensor the rows
 * @param lent whether the sender keeps the tensor until its step is committed (it may have to send
 *     it again); otherwise the receiver owns it
 */
public record TensorPayload(Tensor tensor, boolean lent) implements Payload {
  /** Rows that the sender keeps; the receiver only reads them, until the step is committed. */
  public static TensorPayload lent(Tensor tensor) {
    return new TensorPayload(tensor, true);
  }

  /** Rows that become the receiver's. */
  public static TensorPayload given(Tensor tensor) {
    return new TensorPayload(tensor, false);
  }

  @Override
  public MemorySegment bytes() {
    return tensor.bytes();
  }

  @Override
  public void release() {
    if (!lent) {
      tensor.close();
    }
  }
}
