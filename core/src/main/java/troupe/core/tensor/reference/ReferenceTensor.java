package troupe.core.tensor.reference;

import java.lang.foreign.MemorySegment;
import troupe.core.tensor.DType;
import troupe.core.tensor.Device;
import troupe.core.tensor.Shapes;
import troupe.core.tensor.Tensor;

/** A range of an array of doubles. */
final class ReferenceTensor implements Tensor {
  private final ReferenceDevice device;

  /** Who owns the array: this, or the tensor that this is a view of. */
  private final ReferenceTensor owner;

  private final int offset;
  private final int rows;
  private final int columns;

  /** Null in views and once closed. */
  private double[] data;

  ReferenceTensor(ReferenceDevice device, int rows, int columns) {
    this.device = device;
    this.owner = this;
    this.offset = 0;
    this.rows = rows;
    this.columns = columns;
    this.data = new double[Math.multiplyExact(rows, columns)];
  }

  private ReferenceTensor(ReferenceTensor owner, int offset, int rows, int columns) {
    this.device = owner.device;
    this.owner = owner;
    this.offset = offset;
    this.rows = rows;
    this.columns = columns;
  }

  double at(int row, int column) {
    return owner.data[offset + row * columns + column];
  }

  double at(int index) {
    return owner.data[offset + index];
  }

  void put(int row, int column, double value) {
    owner.data[offset + row * columns + column] = value;
  }

  void put(int index, double value) {
    owner.data[offset + index] = value;
  }

  void plus(int row, int column, double value) {
    owner.data[offset + row * columns + column] += value;
  }

  /** Number of elements: an array has no more than an int counts. */
  int length() {
    return rows * columns;
  }

  /** {@code tensor} as one of this device that is still open. */
  static ReferenceTensor open(Tensor tensor) {
    ReferenceTensor reference = (ReferenceTensor) tensor;
    reference.requireOpen();
    return reference;
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
    requireOpen();
    Shapes.view(this, from, newRows, newColumns);
    return new ReferenceTensor(owner, offset + (int) from, newRows, newColumns);
  }

  @Override
  public MemorySegment bytes() {
    requireOpen();
    long bytes = DType.F64.bytes();
    return MemorySegment.ofArray(owner.data).asSlice(offset * bytes, size() * bytes);
  }

  @Override
  public double[] toDoubles() {
    requireOpen();
    double[] values = new double[length()];
    System.arraycopy(owner.data, offset, values, 0, values.length);
    return values;
  }

  @Override
  public void set(double... values) {
    requireOpen();
    Shapes.length("values", values.length, length());
    System.arraycopy(values, 0, owner.data, offset, values.length);
  }

  @Override
  public void set(float[] values) {
    requireOpen();
    Shapes.length("values", values.length, length());
    for (int i = 0; i < values.length; i++) {
      put(i, values[i]);
    }
  }

  @Override
  public double item() {
    requireOpen();
    Shapes.shape("item", this, 1, 1);
    return at(0);
  }

  @Override
  public void close() {
    if (data != null) {
      data = null;
      device.release(this);
    }
  }

  private void requireOpen() {
    if (owner.data == null) {
      throw new IllegalStateException("tensor: closed (expected: open)");
    }
  }
}
