package troupe.core.tensor.nd4j;

import java.util.concurrent.atomic.AtomicLong;
import org.nd4j.linalg.api.buffer.DataBuffer;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.nativeblas.NativeOpsHolder;
import troupe.core.tensor.CheckedKernels;
import troupe.core.tensor.DType;
import troupe.core.tensor.Device;
import troupe.core.tensor.Kernels;
import troupe.core.tensor.MemoryPool;
import troupe.core.tensor.Shapes;
import troupe.core.tensor.Tensor;

/** Whatever ND4J's backend computes on, in single precision. */
public final class Nd4jDevice implements Device {
  /** The name of this device. */
  public static final String NAME = "nd4j";

  private final MemoryPool<DataBuffer> pool =
      new MemoryPool<>(size -> Nd4j.createBuffer(DataType.FLOAT, size, false), DataBuffer::close);
  private final AtomicLong allocated = new AtomicLong();
  private final Kernels kernels = new CheckedKernels(this, new Nd4jKernels(this));

  /**
   * Loads ND4J. Its own threads are turned off: they would compete with those that call kernels.
   */
  public Nd4jDevice() {
    Nd4j.getEnvironment().setMaxMasterThreads(1);
    Nd4j.factory().blas().setMaxThreads(1);
    NativeOpsHolder.getInstance().getDeviceNativeOps().setOmpNumThreads(1);
  }

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public DType dtype() {
    return DType.F32;
  }

  @Override
  public Kernels kernels() {
    return kernels;
  }

  @Override
  public Tensor allocate(int rows, int columns) {
    Shapes.dimensions(rows, columns);
    long size = (long) rows * columns;
    Nd4jTensor tensor = new Nd4jTensor(this, pool.take(size), rows, columns);
    allocated.addAndGet(size * DType.F32.bytes());
    return tensor;
  }

  @Override
  public long allocatedBytes() {
    return allocated.get();
  }

  @Override
  public void close() {
    pool.close();
  }

  void release(DataBuffer buffer, long size) {
    allocated.addAndGet(-size * DType.F32.bytes());
    pool.give(buffer, size);
  }
}
