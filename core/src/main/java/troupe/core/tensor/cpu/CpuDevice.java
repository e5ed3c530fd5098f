package troupe.core.tensor.cpu;

import java.util.concurrent.atomic.AtomicLong;
import org.nd4j.linalg.factory.Nd4j;
import troupe.core.tensor.CheckedKernels;
import troupe.core.tensor.DType;
import troupe.core.tensor.Device;
import troupe.core.tensor.Kernels;
import troupe.core.tensor.MemoryPool;
import troupe.core.tensor.Shapes;
import troupe.core.tensor.Tensor;

/**
 * The processors of this host, in single precision. Every kernel runs on the caller's thread and is
 * done when it returns; bits do not depend on how many threads call at once. They may differ
 * between processors of another vector width.
 */
public final class CpuDevice implements Device {
  /** The name of this device. */
  public static final String NAME = "cpu";

  private final Slabs slabs = new Slabs();
  private final MemoryPool<Block> pool = new MemoryPool<>(slabs::allocate, Block::free);
  private final AtomicLong allocated = new AtomicLong();
  private final Kernels kernels = new CheckedKernels(this, new CpuKernels(this));

  /**
   * Loads ND4J and OpenBLAS.
   *
   * @throws IllegalStateException if the ND4J on the class path is one for GPUs
   */
  public CpuDevice() {
    if (!Nd4j.getEnvironment().isCPU()) {
      throw new IllegalStateException(
          "device cpu: ND4J is for GPUs (expected: for processors)\n"
              + "HINT: build without -Pnd4j-cuda, or use device nd4j");
    }
    Nd4j.getEnvironment().setMaxMasterThreads(1);
    // Last: ND4J gives OpenBLAS all cores when it loads.
    Blas.useOneThread();
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
    CpuTensor tensor = new CpuTensor(this, pool.take(size), rows, columns);
    allocated.addAndGet(Lanes.bytes(size));
    return tensor;
  }

  @Override
  public long allocatedBytes() {
    return allocated.get();
  }

  /** Blocks of memory that this device has allocated so far, idle or handed out. */
  public int blocks() {
    return pool.blocks();
  }

  @Override
  public void close() {
    pool.close();
    slabs.close();
  }

  void release(Block block, long size) {
    allocated.addAndGet(-Lanes.bytes(size));
    pool.give(block, size);
  }
}
