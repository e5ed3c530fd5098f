package troupe.core.tensor.cuda;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.function.IntFunction;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import troupe.core.UserException;
import troupe.core.tensor.CheckedKernels;
import troupe.core.tensor.DType;
import troupe.core.tensor.Device;
import troupe.core.tensor.KernelProfiler;
import troupe.core.tensor.Kernels;
import troupe.core.tensor.Readback;
import troupe.core.tensor.RoutingKernels;
import troupe.core.tensor.Shapes;
import troupe.core.tensor.Staged;
import troupe.core.tensor.Tensor;
import troupe.core.tensor.cuda.driver.BlasLt;
import troupe.core.tensor.cuda.driver.CudaException;
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

  private static final Logger LOG = LoggerFactory.getLogger(CudaDevice.class);

  private final Resources resources = new Resources();
  private final Gpu gpu;
  private final Transfers transfers;
  private final PeerCopies peerCopies;
  private final PinnedCopies outgoing;
  private final PinnedCopies incoming;
  private final Shelf shelf;
  private final Neighbours neighbours;
  private final Readbacks readbacks;
  private final GpuTimeline timeline;
  private final Launcher launcher;
  private final MatrixProducts products;
  private final Kernels kernels;
  private final RoutingKernels routing;

  /** Whether other GPUs of this process read its tensors. */
  private volatile boolean hasPeers;

  /**
   * Opens a GPU.
   *
   * @param index of the GPU, from 0
   * @param patience how long to wait for it at most
   * @param kernels compiles kernels for ten times a compute capability
   * @param blas loads the library of matrix products
   * @throws UserException if a library or the GPU is missing
   */
  CudaDevice(
      Driver driver,
      int index,
      Duration patience,
      IntFunction<List<byte[]>> kernels,
      Supplier<BlasLt> blas) {
    this.gpu = new Gpu(driver, index, patience);
    resources.onClose(gpu::close);
    try {
      this.transfers = new Transfers(gpu);
      resources.onClose(transfers::close);
      this.peerCopies = new PeerCopies(gpu);
      resources.onClose(peerCopies::close);
      this.outgoing = new PinnedCopies(gpu, gpu.toHostStream(), "rows for other processes");
      resources.onClose(outgoing::close);
      this.incoming = new PinnedCopies(gpu, gpu.fromHostStream(), "rows of other processes");
      resources.onClose(incoming::close);
      this.shelf = new Shelf(gpu, transfers);
      resources.onClose(shelf::close);
      this.neighbours = new Neighbours(gpu);
      resources.onClose(neighbours::close);
      gpu.bePatientWhile(neighbours::waitsForOthers);
      this.timeline = new GpuTimeline(gpu);
      resources.onClose(timeline::close);
      this.launcher = new Launcher(gpu, timeline, kernels.apply(gpu.capability()));
      resources.onClose(launcher::close);
      this.readbacks = new Readbacks(gpu, launcher);
      resources.onClose(readbacks::close);
      this.products = new MatrixProducts(gpu, timeline, blas.get());
      resources.onClose(products::close);
      resources.onClose(GroupedProducts.of(gpu, launcher)::close);
      this.kernels = new CheckedKernels(this, new CudaKernels(this));
      this.routing = new CudaRouting(this);
    } catch (RuntimeException | LinkageError e) {
      resources.closeAfter(e);
      throw e;
    }
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
  public long memoryBytes() {
    return gpu.memoryBytes();
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
    return new CudaTensor(this, block(rows, columns, type, gpu.memory().stream()), rows, columns);
  }

  private Block block(int rows, int columns, DType type, long stream) {
    long elements = (long) rows * columns;
    long address =
        gpu.memory()
            .allocate(
                Math.max(1, elements) * type.bytes(),
                stream,
                () -> rows + " x " + columns + " " + type);
    return new Block(gpu.memory(), address, elements, type);
  }

  @Override
  public int updateChunk() {
    return UPDATE_CHUNK;
  }

  /** Lets this GPU and another of this process copy each other's tensors. */
  void connect(CudaDevice peer) {
    gpu.letIn(peer.gpu);
    peer.gpu.letIn(gpu);
    hasPeers = true;
    peer.hasPeers = true;
  }

  @Override
  public void concurrently(int key, Runnable work) {
    gpu.enter();
    gpu.lanes().run(key, work);
  }

  @Override
  public Staged copyOut(Tensor tensor, Fence ready, boolean last) {
    return new OutgoingCopy(gpu, outgoing, transfers, CudaTensor.of(tensor), eventOf(ready), last);
  }

  private long eventOf(Fence ready) {
    return (ready instanceof PeerCopies.Point point ? point : peerCopies.point()).event();
  }

  @Override
  public Staged shelve(Tensor tensor, Fence ready, boolean last) {
    return shelf.lay(CudaTensor.of(tensor), eventOf(ready), last);
  }

  @Override
  public PickedUp pickUp(int lender, byte[] reference, int rows, int columns, boolean activations) {
    ShelfPlace place = ShelfPlace.of(reference);
    DType type = activations ? DType.BF16 : DType.F32;
    long bytes = (long) rows * columns * type.bytes();
    place.require(bytes);
    if (!neighbours.reaches(lender, place)) {
      return null;
    }
    Block block = block(rows, columns, type, gpu.fromHostStream());
    Neighbours.Copy copy = neighbours.copy(block, lender, place, bytes);
    if (copy == null) {
      block.free();
      return null;
    }
    return new PickedUp(new CudaTensor(this, block, rows, columns), copy::isOver, copy::abandon);
  }

  @Override
  public void signalIn(Path folder) {
    shelf.signalIn(folder);
  }

  @Override
  public void forget(int lender) {
    neighbours.forget(lender);
  }

  @Override
  public Staged receive(long bytes) {
    return new IncomingCopy(incoming, bytes);
  }

  @Override
  public Tensor copyIn(int rows, int columns, boolean activations, Staged from) {
    try (from) {
      DType type = activations ? DType.BF16 : DType.F32;
      Block block = block(rows, columns, type, gpu.fromHostStream());
      ((IncomingCopy) from).copyTo(block, transfers);
      return new CudaTensor(this, block, rows, columns);
    }
  }

  /**
   * {@inheritDoc}
   *
   * <p>Of a GPU alone {@code null}, for products that are put off would have to be launched. Rows
   * that leave it for another process wait for what was asked for until then.
   */
  @Override
  public Fence fence() {
    return hasPeers ? peerCopies.point() : null;
  }

  @Override
  public Tensor fetch(Tensor from, Fence ready, boolean last) {
    CudaTensor source = CudaTensor.of(from);
    Block block = block(from.rows(), from.columns(), from.dtype(), gpu.copyStream());
    CudaTensor copy = new CudaTensor(this, block, from.rows(), from.columns());
    long done =
        peerCopies.copy(
            block.address(),
            source.cudaDevice().gpu,
            source.address(gpu, gpu.copyStream()),
            source.byteSize(),
            ready);
    block.arrivesAt(done);
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
    return gpu.memory().heldBytes();
  }

  Gpu gpu() {
    return gpu;
  }

  GpuMemory memory() {
    return gpu.memory();
  }

  Transfers transfers() {
    return transfers;
  }

  Readbacks readbacks() {
    return readbacks;
  }

  /** Fills elements with zeros. */
  void zero(long address, long bytes) {
    gpu.queue(
        stream ->
            timeline.time("zero", stream, () -> gpu.driver().fillBytes(address, 0, bytes, stream)));
  }

  /** Copies within the GPU. */
  void copy(long to, long from, long bytes) {
    gpu.queue(
        stream -> timeline.time("copy", stream, () -> gpu.driver().copy(to, from, bytes, stream)));
  }

  Launcher launcher() {
    return launcher;
  }

  MatrixProducts products() {
    return products;
  }

  /**
   * {@inheritDoc}
   *
   * <p>Of a GPU that does not answer nothing is freed: the driver would wait for it, without a
   * deadline. The process ends with all that it holds.
   */
  @Override
  public void close() {
    try {
      if (gpu.hangs()) {
        LOG.warn("{} left as it is: it hangs", name());
        return;
      }
      try {
        gpu.synchronize();
      } catch (UserException e) {
        LOG.warn("{} drops what was put off: {}", name(), e.getMessage());
        gpu.synchronize();
      }
    } catch (CudaException e) {
      LOG.warn("{} left as it is: {}", name(), e.line());
      return;
    }
    resources.close();
  }
}
