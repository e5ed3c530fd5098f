package troupe.core.tensor.probe;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.function.ToIntFunction;
import java.util.stream.IntStream;
import troupe.core.UserException;
import troupe.core.tensor.Device;
import troupe.core.tensor.cuda.CudaDevice;
import troupe.core.tensor.cuda.CudaDevices;
import troupe.core.tensor.cuda.Resources;
import troupe.core.tensor.cuda.driver.CudaException;
import troupe.core.tensor.cuda.driver.CudaLibraries;
import troupe.core.tensor.cuda.driver.Driver;
import troupe.core.tensor.cuda.driver.Driver.Attribute;
import troupe.core.tensor.cuda.driver.Waits;

/**
 * Facts and quick measurements of NVIDIA's GPUs and libraries; a few tenths of a second a GPU. One
 * thread's, and not one that works with a cuda device: measuring changes the thread's context.
 */
public final class CudaProbe implements AutoCloseable {
  /** Bytes that a measured copy moves: several times any GPU's second-level cache. */
  public static final long COPY_BYTES = 256L << 20;

  /** As much as the driver has at a time. */
  private static final long SHARED_BYTES = 2L << 20;

  /** An odd number: the median is one of them. */
  private static final int RUNS = 5;

  private final String folders;
  private final Driver driver;
  private final Map<Integer, Long> contexts = new HashMap<>();

  /**
   * Loads the driver.
   *
   * @param folders where to look for NVIDIA's libraries first; may be empty
   * @throws UserException if there is no driver
   * @throws CudaException if the driver finds no GPU that it can use
   */
  public CudaProbe(String folders) {
    this(folders, new CudaLibraries(folders).driver());
  }

  CudaProbe(String folders, Driver driver) {
    this.folders = folders;
    this.driver = driver;
  }

  /**
   * A library that was loaded.
   *
   * @param version such as {@code 13.0}; its major part is that of CUDA
   * @param file where it came from; a bare name if the system found it
   */
  public record Library(String version, String file) {}

  /**
   * One GPU.
   *
   * @param index from 0, in the driver's order
   * @param capability ten times the compute capability
   */
  public record Gpu(int index, String name, int capability, int multiprocessors, long totalBytes) {}

  /**
   * Rates of copies, in GB/s (1e9 bytes a second).
   *
   * @param within bytes read and bytes written of a copy within the GPU
   * @param fromHost bytes copied from pinned memory of the host
   * @param toHost bytes copied to pinned memory of the host
   */
  public record Rates(double within, double fromHost, double toHost) {}

  /**
   * Kernels that were checked and are right.
   *
   * @param cases how many comparisons with the reference
   * @param millis how long they took, the reference included
   */
  public record Checked(int cases, long millis) {}

  /**
   * Loads the run-time compiler.
   *
   * @param folders as for the constructor; no driver is needed
   * @throws UserException if it is missing
   */
  public static Library compiler(String folders) {
    return find(folders, CudaLibraries.Library.NVRTC, found -> found.compiler().version());
  }

  /**
   * Loads cuBLASLt.
   *
   * @param folders as for the constructor; no driver is needed
   * @throws UserException if it is missing
   */
  public static Library matrixProducts(String folders) {
    return find(folders, CudaLibraries.Library.CUBLAS_LT, CudaLibraries::matrixProductsVersion);
  }

  /** What a run would load; without a driver, or without what it serves, the newest there is. */
  private static Library find(
      String folders, CudaLibraries.Library library, Function<CudaLibraries, String> version) {
    CudaLibraries served = new CudaLibraries(folders);
    try {
      served.driver();
      return new Library(version.apply(served), served.fileOf(library).toString());
    } catch (UserException | CudaException e) {
      CudaLibraries any = new CudaLibraries(folders);
      return new Library(version.apply(any), any.fileOf(library).toString());
    }
  }

  /** The newest CUDA version that the driver serves, such as 13000 for 13.0. */
  public int cudaVersion() {
    return driver.version();
  }

  /** All GPUs that this process may use. */
  public List<Gpu> gpus() {
    return IntStream.range(0, driver.deviceCount()).mapToObj(this::gpu).toList();
  }

  private Gpu gpu(int index) {
    int device = driver.device(index);
    return new Gpu(
        index,
        driver.name(device),
        10 * driver.attribute(Attribute.CAPABILITY_MAJOR, device)
            + driver.attribute(Attribute.CAPABILITY_MINOR, device),
        driver.attribute(Attribute.MULTIPROCESSORS, device),
        driver.totalMemory(device));
  }

  /** Bytes of a GPU's memory that nobody uses, this process included. */
  public long freeBytes(int index) {
    driver.setCurrent(context(index));
    return driver.freeMemory();
  }

  /**
   * Whether the driver has names for a GPU's memory under which other processes can open it. They
   * may still be unable to: in a container without the same IPC namespace, or without a link.
   */
  public boolean sharesMemory(int index) {
    driver.setCurrent(context(index));
    long memory = driver.allocateNow(SHARED_BYTES);
    try {
      driver.share(memory);
      return true;
    } catch (CudaException e) {
      if (e.isLost()) {
        throw e;
      }
      return false;
    } finally {
      driver.freeNow(memory);
    }
  }

  /** Whether each of two GPUs can read and write the memory of the other. */
  public boolean arePeers(int one, int other) {
    int here = driver.device(one);
    int there = driver.device(other);
    return driver.canAccessPeer(here, there) && driver.canAccessPeer(there, here);
  }

  /**
   * Measures copies of {@link #COPY_BYTES}: medians after one that is not counted.
   *
   * @throws CudaException if twice that much memory of the GPU, or once of the host, is not free
   */
  public Rates rates(int index) {
    try (Lane lane = new Lane(index)) {
      long one = lane.allocate();
      long other = lane.allocate();
      long host = lane.allocateHost();
      return new Rates(
          2 * lane.rate(() -> driver.copy(other, one, COPY_BYTES, lane.stream)),
          lane.rate(() -> driver.copyToDevice(one, host, COPY_BYTES, lane.stream)),
          lane.rate(() -> driver.copyToHost(host, one, COPY_BYTES, lane.stream)));
    }
  }

  /**
   * Measures a copy of {@link #COPY_BYTES} from one GPU to another, direct if they are peers.
   *
   * @return bytes copied, in GB/s (1e9 bytes a second)
   */
  public double peerRate(int from, int to) {
    boolean peers = arePeers(from, to);
    try (Lane target = new Lane(to);
        Lane source = new Lane(from)) {
      if (peers) {
        source.letIn(target);
        target.letIn(source);
      }
      long there = target.allocate();
      // The other stream may use it once this one has it.
      target.await();
      long here = source.allocate();
      return source.rate(
          () ->
              driver.copyPeer(
                  there, target.context, here, source.context, COPY_BYTES, source.stream));
    }
  }

  /**
   * Opens a GPU as a run does, which compiles its kernels the first time, and checks them.
   *
   * @param check compares a device with the reference, and says how often
   * @throws UserException if a library is missing, or the GPU is too old
   */
  public Checked checkKernels(int index, ToIntFunction<Device> check) {
    String name = CudaDevice.NAME + ":" + index;
    try (CudaDevice device = CudaDevices.open(name, folders, CudaDevices.PATIENCE)) {
      long startNs = System.nanoTime();
      int cases = check.applyAsInt(device);
      return new Checked(cases, TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - startNs));
    }
  }

  private long context(int index) {
    // Kept until the end: to make one takes longer than all that is measured in it.
    return contexts.computeIfAbsent(index, gpu -> driver.retainPrimaryContext(driver.device(gpu)));
  }

  @Override
  public void close() {
    for (int index : contexts.keySet()) {
      try {
        driver.releasePrimaryContext(driver.device(index));
      } catch (CudaException e) {
        // Of a GPU that failed: the process ends with all that it holds, and was told why before.
        continue;
      }
    }
    contexts.clear();
  }

  /** A stream of a GPU, memory to copy, and events to time it by. */
  private final class Lane implements AutoCloseable {
    private final int device;
    private final long context;
    private final long stream;
    private final long pool;
    private final long begin;
    private final long end;
    private final Waits waits = new Waits(driver, CudaDevices.PATIENCE);
    private final Resources resources = new Resources();

    Lane(int index) {
      device = driver.device(index);
      context = context(index);
      enter();
      try {
        stream = driver.createStream();
        resources.onClose(() -> driver.destroyStream(stream));
        pool = driver.createPool(device);
        resources.onClose(() -> driver.destroyPool(pool));
        begin = createEvent();
        end = createEvent();
        resources.onClose(waits::close);
      } catch (RuntimeException e) {
        resources.closeAfter(e);
        throw e;
      }
    }

    private long createEvent() {
      long event = driver.createEvent(true);
      resources.onClose(() -> driver.destroyEvent(event));
      return event;
    }

    private void enter() {
      driver.setCurrent(context);
    }

    /** Waits until all copies are done. */
    void await() {
      enter();
      waits.forStream(stream);
    }

    /** Lets another GPU use this one's memory: a pool has rules of its own beside the context's. */
    void letIn(Lane peer) {
      peer.enter();
      driver.enablePeerAccess(context);
      driver.sharePool(pool, peer.device);
    }

    long allocate() {
      enter();
      long block = driver.allocate(COPY_BYTES, pool, stream);
      resources.onClose(() -> driver.free(block, stream));
      return block;
    }

    /** Address of as much pinned memory of the host. */
    long allocateHost() {
      enter();
      MemorySegment host = driver.allocateHost(COPY_BYTES);
      resources.onClose(() -> driver.freeHost(host));
      return host.address();
    }

    /** The median rate of copies in this stream, in GB/s. */
    double rate(Runnable copy) {
      enter();
      copy.run();
      double[] millis = new double[RUNS];
      for (int run = 0; run < RUNS; run++) {
        driver.record(begin, stream);
        copy.run();
        driver.record(end, stream);
        waits.forEvent(end);
        millis[run] = driver.millisBetween(begin, end);
      }
      Arrays.sort(millis);
      return COPY_BYTES / (millis[RUNS / 2] * 1e6);
    }

    /** {@inheritDoc} Of a GPU that hangs nothing is freed: the driver would wait for it. */
    @Override
    public void close() {
      try {
        await();
      } catch (CudaException e) {
        if (!e.isLost()) {
          resources.closeAfter(e);
        }
        throw e;
      }
      resources.close();
    }
  }
}
