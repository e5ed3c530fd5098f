package troupe.core.tensor.reference;

import java.util.concurrent.atomic.AtomicLong;
import troupe.core.tensor.CheckedKernels;
import troupe.core.tensor.DType;
import troupe.core.tensor.Device;
import troupe.core.tensor.Kernels;
import troupe.core.tensor.Shapes;
import troupe.core.tensor.Tensor;

/**
 * Tensors are arrays of doubles on the Java heap; kernels are the formulas of {@link Kernels} as
 * loops.
 */
public final class ReferenceDevice implements Device {
  /** The name of this device. */
  public static final String NAME = "reference";

  private final AtomicLong allocated = new AtomicLong();
  private final Kernels kernels = new CheckedKernels(this, new ReferenceKernels(this));

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public DType dtype() {
    return DType.F64;
  }

  @Override
  public Kernels kernels() {
    return kernels;
  }

  @Override
  public Tensor allocate(int rows, int columns) {
    Shapes.dimensions(rows, columns);
    ReferenceTensor tensor = new ReferenceTensor(this, rows, columns);
    allocated.addAndGet(tensor.size() * DType.F64.bytes());
    return tensor;
  }

  @Override
  public long allocatedBytes() {
    return allocated.get();
  }

  /** Nothing to free here: the garbage collector does. */
  @Override
  public void close() {}

  void release(ReferenceTensor tensor) {
    allocated.addAndGet(-tensor.size() * DType.F64.bytes());
  }
}
