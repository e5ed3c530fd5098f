package troupe.core.tensor.reference;

import java.lang.foreign.MemorySegment;
import troupe.core.tensor.DType;
import troupe.core.tensor.Device;
import troupe.core.tensor.MemoryTensor;
import troupe.core.tensor.Shapes;
import troupe.core.tensor.Tensor;

/** A range of an array of doubles. */
final class ReferenceTensor extends MemoryTensor<double[]> {
  private final ReferenceDevice device;

  ReferenceTensor(ReferenceDevice device, int rows, int columns) {
    super(new double[Math.multiplyExact(rows, columns)], rows, columns);
    this.device = device;
  }

  private ReferenceTensor(ReferenceTensor of, long offset, int rows, int columns) {
    super(of.owner(), offset, rows, columns);
    this.device = of.device;
  }

  private int index(int row, int column) {
    return (int) offset() + row * columns() + column;
  }

  double at(int row, int column) {
    return memory()[index(row, column)];
  }

  double at(int index) {
    return memory()[(int) offset() + index];
  }

  void put(int row, int column, double value) {
    memory()[index(row, column)] = value;
  }

  void put(int index, double value) {
    memory()[(int) offset() + index] = value;
  }

  void plus(int row, int column, double value) {
    memory()[index(row, column)] += value;
  }

  /** Number of elements: an array has no more than an int counts. */
  int length() {
    return rows() * columns();
  }

  /** {@code tensor} as one of this device that is still open. */
  static ReferenceTensor open(Tensor tensor) {
    ReferenceTensor reference = (ReferenceTensor) tensor;
    reference.memory();
    return reference;
  }

  @Override
  public Device device() {
    return device;
  }

  @Override
  protected Tensor view(long offset, int rows, int columns) {
    return new ReferenceTensor(this, offset, rows, columns);
  }

  @Override
  protected void release(double[] data) {
    device.release(this);
  }

  @Override
  public MemorySegment bytes() {
    long bytes = DType.F64.bytes();
    return MemorySegment.ofArray(memory()).asSlice(offset() * bytes, size() * bytes);
  }

  @Override
  public double[] toDoubles() {
    double[] values = new double[length()];
    System.arraycopy(memory(), (int) offset(), values, 0, values.length);
    return values;
  }

  @Override
  public void set(double... values) {
    Shapes.length("values", values.length, length());
    System.arraycopy(values, 0, memory(), (int) offset(), values.length);
  }

  @Override
  public void set(float[] values) {
    memory();
    Shapes.length("values", values.length, length());
    for (int i = 0; i < values.length; i++) {
      put(i, values[i]);
    }
  }

  @Override
  public double item() {
    Shapes.shape("item", this, 1, 1);
    return at(0);
  }
}
