package troupe.core.tensor.cuda;

import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicLong;
import troupe.core.tensor.CheckedKernels;
import troupe.core.tensor.DType;
import troupe.core.tensor.Device;
import troupe.core.tensor.KernelProfiler;
import troupe.core.tensor.Kernels;
import troupe.core.tensor.Readback;
import troupe.core.tensor.RoutingKernels;
import troupe.core.tensor.Shapes;
import troupe.core.tensor.Tensor;
import troupe.core.tensor.cuda.driver.CudaException;
import troupe.core.tensor.cuda.driver.CudaLibraries;
import troupe.core.tensor.cuda.driver.Driver;

/**
 * One NVIDIA GPU. Work is queued in one stream in the order in which it is asked for, whatever the
 * thread, but for what runs {@link #concurrently}: results do not depend on timing, and memory that
 * is given back may be reused at once.
 */
public final class CudaDevice implements Device {
  /** What the names of these devices start with. */
  public static final String NAME = "cuda";

  private static final int UPDATE_CHUNK = 1 << 28;

  private final Gpu gpu;
  private final Transfers transfers;
  private final PeerCopies peerCopies;
  private final Readbacks readbacks;
  private final GpuTimeline timeline;
  private final Launcher launcher;
  private final MatrixProducts products;
  private final GroupedProducts groupedProducts;
  private final Kernels kernels;
  private final RoutingKernels routing;
  private final AtomicLong allocated = new AtomicLong();

  /**
   * Opens a GPU and compiles its kernels.
   *
   * @param index of the GPU, from 0
   * @throws troupe.core.UserException if a library or the GPU is missing
   */
  public CudaDevice(CudaLibraries libraries, Driver driver, int index) {
    this.gpu = new Gpu(driver, index);
    this.transfers = new Transfers(gpu);
    this.peerCopies = new PeerCopies(gpu);
    this.readbacks = new Readbacks(gpu);
    this.timeline = new GpuTimeline(gpu);
    this.launcher =
        new Launcher(gpu, timeline, KernelSources.compile(libraries.compiler(), gpu.capability()));
    this.products = new MatrixProducts(gpu, timeline, libraries.matrixProducts());
    this.groupedProducts = GroupedProducts.of(gpu, launcher);
    this.kernels = new CheckedKernels(this, new CudaKernels(this));
    this.routing = new CudaRouting(this);
  }

  @Override
  public String name() {
    return NAME + ":" + gpu.index();
  }

  @Override
  public DType dtype() {
    return DType.F32;
  }

  @Override
  public DType activationType() {
    return DType.BF16;
  }

  @Override
  public Kernels kernels() {
    return kernels;
  }

  @Override
  public RoutingKernels routing() {
    return routing;
  }

  @Override
  public Tensor allocate(int rows, int columns) {
    return allocate(rows, columns, DType.F32);
  }

  @Override
  public Tensor allocateActivations(int rows, int columns) {
    return allocate(rows, columns, DType.BF16);
  }

  private Tensor allocate(int rows, int columns, DType type) {
    Shapes.dimensions(rows, columns);
    return new CudaTensor(this, block(rows, columns, type, gpu.memoryStream()), rows, columns);
  }

  private Block block(int rows, int columns, DType type, long stream) {
    try {
      Block block = new Block(gpu, (long) rows * columns, type, stream);
      allocated.addAndGet(block.bytes());
      return block;
    } catch (CudaException e) {
      throw e.code() == CudaException.OUT_OF_MEMORY
          ? outOfMemory(rows, columns, type)
          : gpu.explain(e);
    }
  }

  private CudaException outOfMemory(int rows, int columns, DType type) {
    double gigabyte = 1 << 30;
    return new CudaException(
        "%s: out of memory: %.2f GiB for %d x %d %s of %s; %.2f GiB in use, %.2f GiB free"
                .formatted(
                    name(),
                    (double) rows * columns * type.bytes() / gigabyte,
                    rows,
                    columns,
                    type,
                    caller(),
                    allocated.get() / gigabyte,
                    gpu.driver().freeMemory() / gigabyte)
            + "\nHINT: a smaller train.batch, or train.micro_batches twice as many, needs less for"
            + " activations; more GPUs share the parameters",
        CudaException.OUT_OF_MEMORY);
  }

  /** Who wants memory: the first frame outside of what allocates. */
  private static String caller() {
    return StackWalker.getInstance()
        .walk(
            frames ->
                frames
                    .filter(frame -> !frame.getClassName().startsWith("troupe.core.tensor."))
                    .findFirst()
                    .map(
                        frame ->
                            frame.getClassName().replaceAll(".*\\.", "")
                                + "."
                                + frame.getMethodName())
                    .orElse("the device"));
  }

  @Override
  public int updateChunk() {
    return UPDATE_CHUNK;
  }

  /** Lets this GPU and another of this process copy each other's tensors. */
  void connect(CudaDevice peer) {
    gpu.letIn(peer.gpu);
    peer.gpu.letIn(gpu);
  }

  @Override
  public void concurrently(int key, Runnable work) {
    gpu.enter();
    gpu.lanes().run(key, work);
  }

  @Override
  public Tensor receive(int rows, int columns, boolean activations, MemorySegment from) {
    DType type = activations ? DType.BF16 : DType.F32;
    Block block = block(rows, columns, type, gpu.copyStream());
    CudaTensor tensor = new CudaTensor(this, block, rows, columns);
    transfers.receive(tensor.address(), from.asSlice(0, tensor.size() * type.bytes()));
    return tensor;
  }

  @Override
  public void send(Tensor tensor, Fence ready, MemorySegment to) {
    CudaTensor from = CudaTensor.of(tensor);
    transfers.send(
        to.asSlice(0, from.size() * from.dtype().bytes()),
        from.address(),
        ((PeerCopies.Point) ready).event());
  }

  @Override
  public Fence fence() {
    return peerCopies.point();
  }

  @Override
  public Tensor fetch(Tensor from, Fence ready, boolean last) {
    CudaTensor source = CudaTensor.of(from);
    Block block = block(from.rows(), from.columns(), from.dtype(), gpu.copyStream());
    CudaTensor copy = new CudaTensor(this, block, from.rows(), from.columns());
    long done =
        peerCopies.copy(
            copy.address(),
            source.cudaDevice().gpu,
            source.address(),
            from.size() * from.dtype().bytes(),
            ready);
    if (last) {
      source.closeAfter(done);
    }
    return copy;
  }

  @Override
  public KernelProfiler profiler() {
    return timeline;
  }

  @Override
  public boolean isHostMemory() {
    return false;
  }

  @Override
  public Readback read(Tensor tensor) {
    CudaTensor from = CudaTensor.of(tensor);
    int count = Math.toIntExact(from.size());
    DType type = from.dtype();
    Readbacks.Pending<double[]> pending =
        readbacks.read(
            from.address(),
            (long) count * type.bytes(),
            memory -> CudaTensor.doubles(memory, type, count));
    return new Readback() {
      @Override
      public boolean isDone() {
        return pending.isDone();
      }

      @Override
      public double[] values() {
        return pending.get();
      }

      @Override
      public void whenDone(Runnable action) {
        pending.whenDone(action);
      }
    };
  }

  @Override
  public long allocatedBytes() {
    return allocated.get();
  }

  Gpu gpu() {
    return gpu;
  }

  Transfers transfers() {
    return transfers;
  }

  Readbacks readbacks() {
    return readbacks;
  }

  /** Fills elements with zeros. */
  void zero(long address, long bytes) {
    gpu.enter();
    long stream = gpu.stream();
    timeline.time("zero", stream, () -> gpu.driver().fillBytes(address, 0, bytes, stream));
  }

  /** Copies within the GPU. */
  void copy(long to, long from, long bytes) {
    gpu.enter();
    long stream = gpu.stream();
    timeline.time("copy", stream, () -> gpu.driver().copy(to, from, bytes, stream));
  }

  Launcher launcher() {
    return launcher;
  }

  MatrixProducts products() {
    return products;
  }

  void release(Block block) {
    allocated.addAndGet(-block.bytes());
    block.free();
  }

  void releaseAfter(Block block, long event) {
    allocated.addAndGet(-block.bytes());
    block.freeAfter(event);
  }

  /** The bf16 copy of float32 elements was made, or goes with its owner. */
  void shadowAllocated(long bytes) {
    allocated.addAndGet(bytes);
  }

  /** Waits until all that was asked for is done. */
  public void synchronize() {
    try {
      gpu.synchronize();
    } catch (CudaException e) {
      throw gpu.explain(e);
    }
  }

  @Override
  public void close() {
    gpu.stream();
    groupedProducts.close();
    products.close();
    launcher.close();
    timeline.close();
    readbacks.close();
    transfers.close();
    peerCopies.close();
    gpu.close();
  }
}
