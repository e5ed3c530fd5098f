package troupe.core.tensor.cuda;

import java.lang.foreign.MemorySegment;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import troupe.core.UserException;
import troupe.core.tensor.cuda.driver.CudaException;
import troupe.core.tensor.cuda.driver.Driver;
import troupe.core.tensor.cuda.driver.Waits;

/**
 * Memory of a GPU, had and given back in the order of its streams, and memory of the host that it
 * copies from and to.
 */
final class GpuMemory {
  private static final double GIB = 1 << 30;

  private final Gpu gpu;
  private final Driver driver;
  private final Waits waits;
  private final long pool;
  private final long mainStream;
  private final long reclaimStream;
  private final AtomicLong heldBytes = new AtomicLong();

  /**
   * Memory of a pool.
   *
   * @param reclaimStream has nothing but memory that waits for other GPUs
   */
  GpuMemory(Gpu gpu, Waits waits, long pool, long mainStream, long reclaimStream) {
    this.gpu = gpu;
    this.driver = gpu.driver();
    this.waits = waits;
    this.pool = pool;
    this.mainStream = mainStream;
    this.reclaimStream = reclaimStream;
  }

  /** The stream in whose order memory for what comes next is had and given back. */
  long stream() {
    gpu.enter();
    return gpu.lanes().memory();
  }

  /** Memory for what comes next in the stream. */
  long allocate(long bytes) {
    return allocate(bytes, stream(), () -> "scratch");
  }

  /** The same, to be closed once the work is asked for. */
  Scratch scratch(long bytes) {
    return new Scratch(this, allocate(bytes));
  }

  /**
   * Memory for what comes next in one of this GPU's streams.
   *
   * @param purpose what it is for, for people
   * @throws UserException if there is not so much
   */
  long allocate(long bytes, long forStream, Supplier<String> purpose) {
    try {
      return allocate(
          bytes,
          () -> driver.allocate(bytes, pool, forStream),
          () -> {
            // What was freed behind work that is put off comes free now.
            gpu.lanes().joined();
            gpu.awaitStream(forStream);
          },
          purpose);
    } finally {
      gpu.lanes().queued();
    }
  }

  /**
   * Memory that every stream may use at once, for whoever is launching what was put off. It is
   * given back by {@link Driver#freeNow}.
   *
   * @throws UserException if there is not so much
   */
  long allocateNow(long bytes, String purpose) {
    return allocate(
        bytes, () -> driver.allocateNow(bytes), () -> gpu.awaitStream(mainStream), () -> purpose);
  }

  private long allocate(long bytes, LongSupplier ask, Runnable comeFree, Supplier<String> purpose) {
    gpu.enter();
    try {
      return ask.getAsLong();
    } catch (CudaException e) {
      if (e.code() != CudaException.OUT_OF_MEMORY) {
        throw gpu.explain(e);
      }
    }
    // What the pool keeps may be in pieces that do not fit: give them back, and ask once more.
    comeFree.run();
    driver.trimPool(pool);
    try {
      return ask.getAsLong();
    } catch (CudaException e) {
      throw e.code() == CudaException.OUT_OF_MEMORY
          ? outOfMemory(bytes, purpose.get())
          : gpu.explain(e);
    }
  }

  private UserException outOfMemory(long bytes, String purpose) {
    return new UserException(
        String.format(
            Locale.ROOT,
            "cuda:%d: out of memory: %.2f GiB for %s of %s; %.2f GiB in use, %.2f GiB free",
            gpu.index(),
            bytes / GIB,
            purpose,
            caller(),
            heldBytes.get() / GIB,
            driver.freeMemory() / GIB),
        "a smaller train.batch, or train.micro_batches twice as many, needs less for activations;"
            + " more GPUs share the parameters");
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

  /**
   * Pinned memory of the host: the GPU copies from and to it by itself. It is given back by {@link
   * Driver#freeHost}.
   *
   * @param purpose what it is for, for people
   * @throws UserException if the system pins no more
   */
  MemorySegment allocateHost(long bytes, String purpose) {
    gpu.enter();
    try {
      return driver.allocateHost(bytes);
    } catch (CudaException e) {
      throw e.isNotPinned() ? outOfPinnedMemory(bytes, purpose, e) : gpu.explain(e);
    }
  }

  private UserException outOfPinnedMemory(long bytes, String purpose, CudaException e) {
    return new UserException(
        String.format(
            Locale.ROOT,
            "cuda:%d: out of pinned memory of the host: %d KiB for %s; %d KiB pinned by this process"
                + " already (%s)",
            gpu.index(),
            bytes >> 10,
            purpose,
            driver.pinnedBytes() >> 10,
            e.getMessage()),
        "a smaller TROUPE_HEAP, or a larger memory limit of the container, leaves more to pin;"
            + " ulimit -l unlimited (docker run --ulimit memlock=-1) where locked memory is limited;"
            + " of a machine under WSL2, half can be pinned at most",
        e);
  }

  /** Has work that is asked for next wait for an event. */
  void await(long event) {
    gpu.enter();
    gpu.lanes().await(event);
  }

  /** Counts what tensors hold, or hold no more. */
  void holds(long bytes) {
    heldBytes.addAndGet(bytes);
  }

  /** Bytes that tensors hold. */
  long heldBytes() {
    return heldBytes.get();
  }

  /** Has memory that is freed next be freed behind an event. */
  void awaitToFree(long event) {
    freeing(() -> await(event));
  }

  /** Frees memory once the work that was asked for so far is done with it. */
  void free(long address) {
    freeing(
        () -> {
          gpu.enter();
          gpu.lanes().free(address);
        });
  }

  /** Frees memory once another GPU is done with it, whatever this one does meanwhile. */
  void freeAfter(long address, long event) {
    freeing(
        () -> {
          gpu.enter();
          driver.waitFor(reclaimStream, event);
          driver.free(address, reclaimStream);
        });
  }

  private void freeing(Runnable work) {
    try {
      if (!waits.gaveUp()) {
        work.run();
      }
    } catch (CudaException e) {
      // The memory of a context that is lost is lost with it. Whoever gives memory back does so
      // because of that failure, and has told it.
      if (!e.isLost()) {
        throw e;
      }
    }
  }
}
