package troupe.core.tensor.nd4j;

import java.lang.foreign.MemorySegment;
import org.nd4j.linalg.api.buffer.DataBuffer;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import troupe.core.tensor.DType;
import troupe.core.tensor.Device;
import troupe.core.tensor.MemoryTensor;
import troupe.core.tensor.Shapes;
import troupe.core.tensor.Tensor;

/** A range of an ND4J buffer. */
final class Nd4jTensor extends MemoryTensor<DataBuffer> {
  private final Nd4jDevice device;

  Nd4jTensor(Nd4jDevice device, DataBuffer buffer, int rows, int columns) {
    super(buffer, rows, columns);
    this.device = device;
  }

  private Nd4jTensor(Nd4jTensor of, long offset, int rows, int columns) {
    super(of.owner(), offset, rows, columns);
    this.device = of.device;
  }

  /** The elements of a tensor with at least one row, as an array over the same memory. */
  static INDArray array(Tensor tensor) {
    return array(tensor, tensor.rows(), tensor.columns());
  }

  /** The same as an array of another shape. */
  static INDArray array(Tensor tensor, long... shape) {
    Nd4jTensor view = (Nd4jTensor) tensor;
    long[] strides = new long[shape.length];
    long stride = 1;
    for (int i = shape.length - 1; i >= 0; i--) {
      strides[i] = stride;
      stride *= shape[i];
    }
    return Nd4j.create(view.buffer(), shape, strides, view.offset(), 'c');
  }

  private DataBuffer buffer() {
    DataBuffer memory = memory();
    if (memory.wasClosed()) {
      throw new IllegalStateException("device: closed (expected: open)");
    }
    return memory;
  }

  @Override
  public Device device() {
    return device;
  }

  @Override
  protected Tensor view(long offset, int rows, int columns) {
    return new Nd4jTensor(this, offset, rows, columns);
  }

  @Override
  protected void release(DataBuffer buffer) {
    device.release(buffer, size());
  }

  /**
   * {@inheritDoc}
   *
   * <p>Only where ND4J's buffer is the host's own memory; on a GPU its host copy is not kept
   * current.
   */
  @Override
  public MemorySegment bytes() {
    DataBuffer memory = buffer();
    if (!Nd4j.getEnvironment().isCPU()) {
      throw new UnsupportedOperationException(
          "bytes: memory of a GPU (expected: of the host)\nHINT: use toDoubles and set");
    }
    long bytes = DType.F32.bytes();
    return MemorySegment.ofAddress(memory.address() + offset() * bytes).reinterpret(size() * bytes);
  }

  @Override
  public double[] toDoubles() {
    buffer();
    if (size() == 0) {
      return new double[0];
    }
    return array(this).dup().data().asDouble();
  }

  @Override
  public void set(double... values) {
    float[] rounded = new float[values.length];
    for (int i = 0; i < values.length; i++) {
      rounded[i] = (float) values[i];
    }
    set(rounded);
  }

  @Override
  public void set(float[] values) {
    buffer();
    Shapes.length("values", values.length, Math.toIntExact(size()));
    if (values.length > 0) {
      try (INDArray from = Nd4j.createFromArray(values).reshape(rows(), columns())) {
        array(this).assign(from);
      }
    }
  }

  @Override
  public double item() {
    Shapes.shape("item", this, 1, 1);
    return toDoubles()[0];
  }
}
