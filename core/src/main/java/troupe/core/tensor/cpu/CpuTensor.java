package troupe.core.tensor.cpu;

import java.lang.foreign.MemorySegment;
import troupe.core.tensor.Device;
import troupe.core.tensor.Shapes;
import troupe.core.tensor.Tensor;

/** A range of a block of memory. */
final class CpuTensor implements Tensor {
  private final CpuDevice device;

  /** Who owns the block: this, or the tensor that this is a view of. */
  private final CpuTensor owner;

  private final long offset;
  private final int rows;
  private final int columns;

  /** Null in views and once closed. */
  private Block block;

  CpuTensor(CpuDevice device, Block block, int rows, int columns) {
    this.device = device;
    this.owner = this;
    this.offset = 0;
    this.rows = rows;
    this.columns = columns;
    this.block = block;
  }

  private CpuTensor(CpuTensor owner, long offset, int rows, int columns) {
    this.device = owner.device;
    this.owner = owner;
    this.offset = offset;
    this.rows = rows;
    this.columns = columns;
  }

  /** The address of the first element of a tensor of this device that is still open. */
  static long address(Tensor tensor) {
    return ((CpuTensor) tensor).address();
  }

  private long address() {
    Block memory = owner.block;
    if (memory == null) {
      throw new IllegalStateException("tensor: closed (expected: open)");
    }
    return memory.address() + Lanes.bytes(offset);
  }

  @Override
  public Device device() {
    return device;
  }

  @Override
  public int rows() {
    return rows;
  }

  @Override
  public int columns() {
    return columns;
  }

  @Override
  public Tensor rows(int from, int count) {
    return slice((long) from * columns, count, columns);
  }

  @Override
  public Tensor reshape(int newRows, int newColumns) {
    Shapes.reshape(this, newRows, newColumns);
    return slice(0, newRows, newColumns);
  }

  @Override
  public Tensor slice(long from, int newRows, int newColumns) {
    address();
    Shapes.view(this, from, newRows, newColumns);
    return new CpuTensor(owner, offset + from, newRows, newColumns);
  }

  @Override
  public MemorySegment bytes() {
    return MemorySegment.ofAddress(address()).reinterpret(Lanes.bytes(size()));
  }

  @Override
  public double[] toDoubles() {
    long from = address();
    double[] values = new double[Math.toIntExact(size())];
    for (int i = 0; i < values.length; i++) {
      values[i] = Lanes.get(from + Lanes.bytes(i));
    }
    return values;
  }

  @Override
  public void set(double... values) {
    long to = address();
    Shapes.length("values", values.length, Math.toIntExact(size()));
    for (int i = 0; i < values.length; i++) {
      Lanes.put(to + Lanes.bytes(i), (float) values[i]);
    }
  }

  @Override
  public void set(float[] values) {
    long to = address();
    Shapes.length("values", values.length, Math.toIntExact(size()));
    for (int i = 0; i < values.length; i++) {
      Lanes.put(to + Lanes.bytes(i), values[i]);
    }
  }

  @Override
  public double item() {
    Shapes.shape("item", this, 1, 1);
    return Lanes.get(address());
  }

  @Override
  public void close() {
    if (block != null) {
      Block given = block;
      block = null;
      device.release(given, size());
    }
  }
}
