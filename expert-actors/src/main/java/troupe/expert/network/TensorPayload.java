package troupe.expert.network;

import java.lang.foreign.MemorySegment;
import troupe.core.tensor.Device;
import troupe.core.tensor.Staged;
import troupe.core.tensor.Tensor;
import troupe.transport.Payload;

/**
 * A tensor on its way between actors. Where a transport wants its bytes, and they are in a GPU's
 * memory, they are copied once and while the GPU goes on: to the host, or for a process of this
 * machine to where its GPU picks them up.
 */
public final class TensorPayload implements Payload {
  private final Tensor tensor;
  private final boolean lent;
  private final Device.Fence ready;

  /** The copy; null until somebody wants it. */
  private Staged staged;

  private TensorPayload(Tensor tensor, boolean lent, Device.Fence ready) {
    this.tensor = tensor;
    this.lent = lent;
    this.ready = ready;
  }

  /** Rows that the sender keeps; the receiver only reads them, until the step is committed. */
  public static TensorPayload lent(Tensor tensor) {
    return new TensorPayload(tensor, true, tensor.device().fence());
  }

  /** Rows that become the receiver's. */
  public static TensorPayload given(Tensor tensor) {
    return new TensorPayload(tensor, false, tensor.device().fence());
  }

  /** Rows that have come from elsewhere, to the device of the receiver, whose they are. */
  public static TensorPayload arrived(Tensor tensor) {
    // What has to wait for them does so by itself: no point in the work of the device is needed.
    return new TensorPayload(tensor, false, null);
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
    return tensor.device() == device ? this : arrived(device.fetch(tensor, ready, !lent));
  }

  @Override
  public synchronized void prepare(boolean nearby) {
    if (staged == null && !tensor.device().isHostMemory()) {
      staged = nearby ? tensor.device().shelve(tensor, ready, !lent) : null;
      staged = staged == null ? tensor.device().copyOut(tensor, ready, !lent) : staged;
    }
  }

  @Override
  public synchronized boolean isReady() {
    prepare(false);
    return staged == null || staged.isDone();
  }

  @Override
  public synchronized boolean tellsWhenReady() {
    return staged != null && staged.tellsWhenDone();
  }

  @Override
  public synchronized MemorySegment bytes() {
    prepare(false);
    return staged == null ? tensor.bytes() : staged.bytes();
  }

  @Override
  public synchronized byte[] reference() {
    return staged == null ? null : staged.reference();
  }

  @Override
  public long byteSize() {
    return tensor.size() * tensor.dtype().bytes();
  }

  @Override
  public synchronized void release() {
    if (staged != null) {
      staged.close();
      staged = null;
    }
    if (!lent) {
      tensor.close();
    }
  }
}
