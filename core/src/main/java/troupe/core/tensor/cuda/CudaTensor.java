package troupe.core.tensor.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import troupe.core.tensor.DType;
import troupe.core.tensor.Device;
import troupe.core.tensor.MemoryTensor;
import troupe.core.tensor.Shapes;
import troupe.core.tensor.Tensor;

/** A range of a GPU's memory. */
final class CudaTensor extends MemoryTensor<Block> {
  private final CudaDevice device;
  private final DType type;

  CudaTensor(CudaDevice device, Block block, int rows, int columns) {
    super(block, rows, columns);
    this.device = device;
    this.type = block.type();
  }

  private CudaTensor(CudaTensor of, long offset, int rows, int columns) {
    super(of.owner(), offset, rows, columns);
    this.device = of.device;
    this.type = of.type;
  }

  /** {@code tensor} as one of this device. */
  static CudaTensor of(Tensor tensor) {
    return (CudaTensor) tensor;
  }

  /** The address of the first element. */
  long address() {
    return memory().address() + offset() * type.bytes();
  }

  /** The same for a copy that a GPU makes in a stream which is neither the main one nor a lane. */
  long address(Gpu copier, long stream) {
    return memory().address(copier, stream) + offset() * type.bytes();
  }

  /** The address of the first element, about to be written. */
  long addressToWrite() {
    memory().written(offset(), offset() + size());
    return address();
  }

  /** The same for a kernel that writes the bf16 copy, too, if there is one. */
  long addressToWriteWithShadow() {
    memory().writtenWithShadow(offset(), offset() + size());
    return address();
  }

  /** Where a product that is about to write this leaves sums of its squares. */
  long sumsToWrite() {
    return memory().sumsToWrite(offset(), rows(), columns());
  }

  /** What the sum of its squares is made of. */
  SquaredPieces squaredPieces() {
    return SquaredPieces.of(memory(), offset(), offset() + size());
  }

  /** The memory that this is a range of. */
  Block block() {
    return memory();
  }

  /** The address of the first element's bf16 copy. */
  long shadowAddress() {
    return memory().shadow() + offset() * DType.BF16.bytes();
  }

  @Override
  public Device device() {
    return device;
  }

  CudaDevice cudaDevice() {
    return device;
  }

  @Override
  public DType dtype() {
    return type;
  }

  long byteSize() {
    return size() * type.bytes();
  }

  @Override
  protected Tensor view(long offset, int rows, int columns) {
    return new CudaTensor(this, offset, rows, columns);
  }

  @Override
  protected void release(Block block) {
    block.free();
  }

  /** Closes it; the memory is reused once another GPU has come to a point. */
  void closeAfter(long event) {
    Block block = takeMemory();
    if (block != null) {
      block.freeAfter(event);
    }
  }

  /**
   * {@inheritDoc}
   *
   * <p>Here it always throws: {@link #copyTo} and {@link #copyFrom} reach a GPU's memory.
   */
  @Override
  public MemorySegment bytes() {
    throw new UnsupportedOperationException("bytes: memory of a GPU (expected: of the host)");
  }

  @Override
  public void copyTo(MemorySegment to) {
    device.transfers().toHost(to.asSlice(0, byteSize()), address());
  }

  @Override
  public void copyFrom(MemorySegment from) {
    device.transfers().toDevice(addressToWrite(), from.asSlice(0, byteSize()));
  }

  @Override
  public double[] toDoubles() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment bytes = arena.allocate(Math.max(1, byteSize()), Float.BYTES);
      copyTo(bytes);
      return doubles(bytes, type, Math.toIntExact(size()));
    }
  }

  /** Elements of this type as numbers. */
  static double[] doubles(MemorySegment bytes, DType type, int count) {
    double[] values = new double[count];
    for (int i = 0; i < count; i++) {
      values[i] =
          type == DType.BF16
              ? Float.intBitsToFloat(bytes.getAtIndex(ValueLayout.JAVA_SHORT, i) << 16)
              : bytes.getAtIndex(ValueLayout.JAVA_FLOAT, i);
    }
    return values;
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
    Shapes.length("values", values.length, Math.toIntExact(size()));
    if (type == DType.F32) {
      device.transfers().toDevice(addressToWrite(), MemorySegment.ofArray(values));
      return;
    }
    short[] rounded = new short[values.length];
    for (int i = 0; i < values.length; i++) {
      rounded[i] = bf16(values[i]);
    }
    device.transfers().toDevice(addressToWrite(), MemorySegment.ofArray(rounded));
  }

  /** Rounds to nearest even, as the GPU does. */
  static short bf16(float value) {
    int bits = Float.floatToRawIntBits(value);
    if (Float.isNaN(value)) {
      return (short) (bits >>> 16 | 0x40);
    }
    return (short) (bits + 0x7FFF + (bits >>> 16 & 1) >>> 16);
  }

  @Override
  public double item() {
    Shapes.shape("item", this, 1, 1);
    return toDoubles()[0];
  }
}
