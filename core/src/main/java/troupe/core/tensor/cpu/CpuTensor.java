package troupe.core.tensor.cpu;

import java.lang.foreign.MemorySegment;
import troupe.core.tensor.Device;
import troupe.core.tensor.MemoryTensor;
import troupe.core.tensor.Shapes;
import troupe.core.tensor.Tensor;

/** A range of a block of memory. */
final class CpuTensor extends MemoryTensor<Block> {
  private final CpuDevice device;

  CpuTensor(CpuDevice device, Block block, int rows, int columns) {
    super(block, rows, columns);
    this.device = device;
  }

  private CpuTensor(CpuTensor of, long offset, int rows, int columns) {
    super(of.owner(), offset, rows, columns);
    this.device = of.device;
  }

  /** The address of the first element of a tensor of this device that is still open. */
  static long address(Tensor tensor) {
    return ((CpuTensor) tensor).address();
  }

  private long address() {
    return memory().address() + Lanes.bytes(offset());
  }

  @Override
  public Device device() {
    return device;
  }

  @Override
  protected Tensor view(long offset, int rows, int columns) {
    return new CpuTensor(this, offset, rows, columns);
  }

  @Override
  protected void release(Block block) {
    device.release(block, size());
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
}
