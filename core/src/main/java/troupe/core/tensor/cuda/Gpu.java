package troupe.core.tensor.cuda;

import java.time.Duration;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BooleanSupplier;
import java.util.function.LongConsumer;
import java.util.function.UnaryOperator;
import troupe.core.UserException;
import troupe.core.tensor.cuda.driver.CudaException;
import troupe.core.tensor.cuda.driver.Driver;
import troupe.core.tensor.cuda.driver.Driver.Attribute;
import troupe.core.tensor.cuda.driver.Waits;

/** One GPU of this process: its context, the streams of its work, and waits for it. */
final class Gpu implements AutoCloseable {
  private static final AtomicLong OPENED = new AtomicLong();

  /**
   * Whose context the calling thread has: the {@link #number} of a GPU. A context may be where one
   * was that is closed, and which the driver still has for the thread.
   */
  private static final ThreadLocal<Long> CURRENT = ThreadLocal.withInitial(() -> 0L);

  private static final String HANGS =
      "a kernel that hangs, or a GPU that others keep busy (nvidia-smi lists them):"
          + " cuda.wait_timeout_seconds is how long to wait";

  private final Driver driver;
  private final Duration patience;
  private final Waits waits;
  private final Resources resources = new Resources();
  private final long number = OPENED.incrementAndGet();
  private final int index;
  private final int handle;
  private final long context;
  private final long stream;
  private final Lanes lanes;
  private final long copyStream;
  private final long toHostStream;
  private final long fromHostStream;
  private final long reclaimStream;
  private final long pool;
  private final GpuMemory memory;
  private volatile UnaryOperator<CudaException> explanation = this::named;
  private final int capability;
  private final int multiprocessors;
  private final int sharedBytes;

  /**
   * Takes hold of a GPU.
   *
   * @param index from 0, in the driver's order
   * @param patience how long to wait for it at most
   * @throws UserException if there is no such GPU, or one too old
   */
  Gpu(Driver driver, int index, Duration patience) {
    int count = driver.deviceCount();
    if (index < 0 || index >= count) {
      throw new UserException(
          "device cuda:" + index + ": no such GPU (expected: cuda:0 to cuda:" + (count - 1) + ")",
          "nvidia-smi -L lists them; CUDA_VISIBLE_DEVICES hides some");
    }
    this.driver = driver;
    this.patience = patience;
    this.waits = new Waits(driver, patience);
    this.index = index;
    this.handle = driver.device(index);
    this.capability =
        10 * driver.attribute(Attribute.CAPABILITY_MAJOR, handle)
            + driver.attribute(Attribute.CAPABILITY_MINOR, handle);
    if (capability < CudaDevices.LEAST_CAPABILITY) {
      throw new UserException(
          String.format(
              Locale.ROOT,
              "device cuda:%d: %s has compute capability %.1f (expected: >= %.1f, for bf16)",
              index,
              driver.name(handle),
              capability / 10.0,
              CudaDevices.LEAST_CAPABILITY / 10.0),
          "device=nd4j with -Pnd4j-cuda serves GPUs from 3.7 to 8.6");
    }
    this.multiprocessors = driver.attribute(Attribute.MULTIPROCESSORS, handle);
    this.sharedBytes = driver.attribute(Attribute.SHARED_BYTES, handle);
    try {
      this.context = driver.retainPrimaryContext(handle);
      resources.onClose(this::leave);
      enter();
      this.pool = driver.createPool(handle);
      resources.onClose(() -> driver.destroyPool(pool));
      this.stream = createStream();
      this.copyStream = createStream();
      this.toHostStream = createStream();
      this.fromHostStream = createStream();
      this.reclaimStream = createStream();
      this.lanes = new Lanes(driver, stream, this::hangs, this::isIdle);
      resources.onClose(lanes::close);
      resources.onClose(waits::close);
      this.memory = new GpuMemory(this, waits, pool, stream, reclaimStream);
    } catch (RuntimeException e) {
      resources.closeAfter(e);
      throw e;
    }
  }

  private long createStream() {
    long created = driver.createStream();
    resources.onClose(() -> driver.destroyStream(created));
    return created;
  }

  private void leave() {
    CURRENT.remove();
    driver.releasePrimaryContext(handle);
  }

  Driver driver() {
    return driver;
  }

  int index() {
    return index;
  }

  long memoryBytes() {
    return driver.totalMemory(handle);
  }

  /** How long a wait may take. */
  Duration patience() {
    return patience;
  }

  /**
   * Has work queued in the stream for what comes next: the main one, in which work is done in
   * order, or a lane for a thread that is in one.
   */
  void queue(LongConsumer work) {
    enter();
    lanes.queue(work);
  }

  /**
   * The stream that {@link #queue} would have now, to wait for: it holds all that was asked for.
   */
  long stream() {
    enter();
    return lanes.current();
  }

  /** Work beside the main stream. */
  Lanes lanes() {
    return lanes;
  }

  /** Its memory. */
  GpuMemory memory() {
    return memory;
  }

  /** The stream of copies from other GPUs, which run beside the work. */
  long copyStream() {
    return copyStream;
  }

  /** The stream of copies that leave for other processes. */
  long toHostStream() {
    return toHostStream;
  }

  /** The stream of copies that come from other processes. */
  long fromHostStream() {
    return fromHostStream;
  }

  long context() {
    return context;
  }

  /** Ten times the compute capability: 90 for an H100. */
  int capability() {
    return capability;
  }

  int multiprocessors() {
    return multiprocessors;
  }

  /** Bytes of shared memory that a block may have. */
  int sharedBytes() {
    return sharedBytes;
  }

  /** Makes this GPU that of the calling thread. */
  void enter() {
    if (CURRENT.get() != number) {
      driver.setCurrent(context);
      CURRENT.set(number);
    }
  }

  /** Has {@link #explain} say more about a failure than the driver does. */
  void explainBy(UnaryOperator<CudaException> how) {
    explanation = how;
  }

  /** Has waits be longer while it waits for a GPU of another process. */
  void bePatientWhile(BooleanSupplier waitsForOthers) {
    waits.bePatientWhile(waitsForOthers);
  }

  /** A failure of work that was queued earlier, with what is known of it. */
  CudaException explain(CudaException e) {
    CudaException explained = explanation.apply(e);
    return e.code() == CudaException.TIMED_OUT ? explained.withHint(HANGS) : explained;
  }

  private CudaException named(CudaException e) {
    return new CudaException("cuda:" + index + ": " + e.getMessage(), e.code());
  }

  /** Whether everything before an event is done. */
  boolean isDone(long event) {
    enter();
    try {
      return driver.isDone(event);
    } catch (CudaException e) {
      throw explain(e);
    }
  }

  /**
   * The same for who asks again instead of waiting.
   *
   * @param askedNs when that was asked first
   * @throws CudaException also when it is not done in time
   */
  boolean isDone(long event, long askedNs) {
    enter();
    try {
      return waits.isDone(event, askedNs);
    } catch (CudaException e) {
      throw explain(e);
    }
  }

  private boolean isIdle(long which) {
    try {
      return waits.isIdle(which);
    } catch (CudaException e) {
      throw explain(e);
    }
  }

  /** Waits for an event of any GPU. */
  void awaitEvent(long event) {
    enter();
    try {
      waits.forEvent(event);
    } catch (CudaException e) {
      throw explain(e);
    }
  }

  /** Waits for memory of the host to say that this GPU has written it. */
  void awaitMemory(BooleanSupplier written) {
    enter();
    try {
      waits.forMemory(written, stream);
    } catch (CudaException e) {
      throw explain(e);
    }
  }

  /** Throws what has gone wrong, if anything has. */
  void check() {
    enter();
    isIdle(stream);
  }

  /** Waits for what is in a stream now. */
  void awaitStream(long which) {
    enter();
    try {
      waits.forStream(which);
    } catch (CudaException e) {
      throw explain(e);
    }
  }

  /** Lets another GPU of this process read and write this one's memory, where the machine can. */
  void letIn(Gpu peer) {
    if (driver.canAccessPeer(peer.handle, handle)) {
      peer.enter();
      driver.enablePeerAccess(context);
      driver.sharePool(pool, peer.handle);
    }
  }

  /** Whether a wait was given up, and nothing has ended since. */
  boolean hangs() {
    return waits.gaveUp();
  }

  /** Waits for all work. */
  void synchronize() {
    // What is put off comes last: a GPU that hangs may have no room for it.
    for (long each : new long[] {stream, copyStream, toHostStream, fromHostStream, reclaimStream}) {
      awaitStream(each);
    }
    awaitStream(stream());
  }

  /** Gives all of it back; nothing may be under way. */
  @Override
  public void close() {
    enter();
    resources.close();
  }
}
