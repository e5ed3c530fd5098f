package troupe.coordinator.host;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import troupe.core.tensor.DType;
import troupe.core.tensor.Device;
import troupe.core.tensor.Devices;
import troupe.core.tensor.Kernels;
import troupe.core.tensor.Staged;
import troupe.core.tensor.Tensor;

/**
 * A device whose memory the host cannot reach, without kernels; what it copies is there when that
 * was asked for a third time. All such devices reach each other's shelves.
 */
final class DistantDevice implements Device {
  private static final int QUESTIONS = 3;

  private final Device memory = Devices.open("reference");
  private final AtomicInteger lent = new AtomicInteger();

  /** What lies on shelves, by the number that is its reference. */
  private static final Map<Integer, Lent> SHELVES = new ConcurrentHashMap<>();

  private static final AtomicInteger REFERENCES = new AtomicInteger();
  private final List<Integer> forgotten = new CopyOnWriteArrayList<>();

  /** The processes that it was told to forget. */
  List<Integer> forgotten() {
    return forgotten;
  }

  /** Memory of the host, or of the shelf, that is lent and not given back. */
  int lent() {
    return lent.get();
  }

  @Override
  public String name() {
    return "distant";
  }

  @Override
  public DType dtype() {
    return memory.dtype();
  }

  @Override
  public Kernels kernels() {
    throw new UnsupportedOperationException("kernels (expected: copies alone)");
  }

  @Override
  public Tensor allocate(int rows, int columns) {
    return new DistantTensor(this, memory.allocate(rows, columns));
  }

  @Override
  public boolean isHostMemory() {
    return false;
  }

  @Override
  public Staged copyOut(Tensor tensor, Fence ready, boolean last) {
    Lent copy = new Lent(tensor.size() * dtype().bytes(), QUESTIONS);
    tensor.copyTo(copy.bytes);
    if (last) {
      tensor.close();
    }
    return copy;
  }

  @Override
  public Staged shelve(Tensor tensor, Fence ready, boolean last) {
    Lent copy = (Lent) copyOut(tensor, ready, last);
    copy.reference = REFERENCES.incrementAndGet();
    SHELVES.put(copy.reference, copy);
    return copy;
  }

  @Override
  public PickedUp pickUp(int lender, byte[] reference, int rows, int columns, boolean activations) {
    Lent lies = SHELVES.get(ByteBuffer.wrap(reference).getInt());
    if (lies.questions > 0) {
      throw new IllegalStateException("reference: sent too early (expected: once done)");
    }
    Tensor tensor = allocate(rows, columns);
    tensor.copyFrom(lies.bytes);
    Lent copying = new Lent(0, QUESTIONS);
    return new PickedUp(
        tensor,
        () -> {
          boolean isOver = copying.isDone();
          if (isOver) {
            copying.close();
          }
          return isOver;
        },
        () -> {});
  }

  @Override
  public void forget(int lender) {
    forgotten.add(lender);
  }

  @Override
  public Staged receive(long bytes) {
    return new Lent(bytes, 1);
  }

  @Override
  public Tensor copyIn(int rows, int columns, boolean activations, Staged from) {
    try (from) {
      Tensor tensor = allocate(rows, columns);
      tensor.copyFrom(from.bytes());
      return tensor;
    }
  }

  @Override
  public long allocatedBytes() {
    return memory.allocatedBytes();
  }

  @Override
  public void close() {
    memory.close();
  }

  private final class Lent implements Staged {
    private final MemorySegment bytes;
    private int questions;
    private boolean closed;

    /** 0 if it is on no shelf. */
    private int reference;

    Lent(long size, int questions) {
      this.bytes = Arena.ofAuto().allocate(size, Long.BYTES);
      this.questions = questions;
      lent.incrementAndGet();
    }

    @Override
    public boolean isDone() {
      return --questions <= 0;
    }

    @Override
    public MemorySegment bytes() {
      if (questions > 1) {
        throw new IllegalStateException("bytes: asked for too early (expected: once done)");
      }
      return bytes;
    }

    @Override
    public byte[] reference() {
      return reference == 0 ? null : ByteBuffer.allocate(Integer.BYTES).putInt(reference).array();
    }

    @Override
    public void close() {
      if (!closed) {
        closed = true;
        SHELVES.remove(reference);
        lent.decrementAndGet();
      }
    }
  }

  private record DistantTensor(Device device, Tensor elements) implements Tensor {
    @Override
    public int rows() {
      return elements.rows();
    }

    @Override
    public int columns() {
      return elements.columns();
    }

    @Override
    public Tensor rows(int from, int count) {
      return new DistantTensor(device, elements.rows(from, count));
    }

    @Override
    public Tensor reshape(int rows, int columns) {
      return new DistantTensor(device, elements.reshape(rows, columns));
    }

    @Override
    public Tensor slice(long from, int rows, int columns) {
      return new DistantTensor(device, elements.slice(from, rows, columns));
    }

    @Override
    public MemorySegment bytes() {
      throw new UnsupportedOperationException("bytes: out of reach (expected: of the host)");
    }

    @Override
    public void copyTo(MemorySegment to) {
      elements.copyTo(to);
    }

    @Override
    public void copyFrom(MemorySegment from) {
      elements.copyFrom(from);
    }

    @Override
    public double[] toDoubles() {
      return elements.toDoubles();
    }

    @Override
    public void set(double... values) {
      elements.set(values);
    }

    @Override
    public void set(float[] values) {
      elements.set(values);
    }

    @Override
    public double item() {
      return elements.item();
    }

    @Override
    public void close() {
      elements.close();
    }
  }
}
