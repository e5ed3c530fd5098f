package troupe.expert.network;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import troupe.core.tensor.Device;
import troupe.core.tensor.Tensor;
import troupe.transport.Payload;

/**
 * A tensor on its way between actors. Where the transport asks for its bytes, and they are in a
 * GPU's memory, they are copied to the host, once.
 */
public final class TensorPayload implements Payload {
  private final Tensor tensor;
  private final boolean lent;
  private final Device.Fence ready;
  private MemorySegment copied;

  private TensorPayload(Tensor tensor, boolean lent) {
    this.tensor = tensor;
    this.lent = lent;
    this.ready = tensor.device().fence();
  }

  /** Rows that the sender keeps; the receiver only reads them, until the step is committed. */
  public static TensorPayload lent(Tensor tensor) {
    return new TensorPayload(tensor, true);
  }

  /** Rows that become the receiver's. */
  public static TensorPayload given(Tensor tensor) {
    return new TensorPayload(tensor, false);
  }

  /** The rows. */
  public Tensor tensor() {
    return tensor;
  }

  /**
   * Whether the sender keeps the tensor until its step is committed (it may have to send it again);
   * otherwise the receiver owns it.
   */
  public boolean lent() {
    return lent;
  }

  /**
   * These rows on the receiver's device: themselves, or a copy from another device of the process.
   */
  public TensorPayload on(Device device) {
    return tensor.device() == device ? this : given(device.fetch(tensor, ready, !lent));
  }

  @Override
  public synchronized MemorySegment bytes() {
    if (tensor.device().isHostMemory()) {
      return tensor.bytes();
    }
    if (copied == null) {
      copied = Arena.ofAuto().allocate(byteSize(), Double.BYTES);
      tensor.device().send(tensor, ready, copied);
    }
    return copied;
  }

  @Override
  public long byteSize() {
    return tensor.size() * tensor.dtype().bytes();
  }

  @Override
  public void release() {
    if (!lent) {
      tensor.close();
    }
  }
}
