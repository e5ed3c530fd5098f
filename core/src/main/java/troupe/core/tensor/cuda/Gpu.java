package troupe.core.tensor.cuda;

import java.util.function.UnaryOperator;
import troupe.core.UserException;
import troupe.core.tensor.cuda.driver.CudaException;
import troupe.core.tensor.cuda.driver.Driver;
import troupe.core.tensor.cuda.driver.Driver.Attribute;

/** One GPU of this process: its context, the stream of its work and its pool of memory. */
final class Gpu implements AutoCloseable {
  private static final int LEAST_CAPABILITY = 80;

  /** The context of the calling thread, as the driver has it. */
  private static final ThreadLocal<Long> CURRENT = ThreadLocal.withInitial(() -> 0L);

  private final Driver driver;
  private final int index;
  private final int handle;
  private final long context;
  private final long stream;
  private final Lanes lanes;
  private final long copyStream;
  private final long reclaimStream;
  private final long pool;
  private volatile UnaryOperator<CudaException> explanation = UnaryOperator.identity();
  private final int capability;
  private final int multiprocessors;
  private final int sharedBytes;

  /**
   * Takes hold of a GPU.
   *
   * @param index from 0, in the driver's order
   * @throws UserException if there is no such GPU, or one too old
   */
  Gpu(Driver driver, int index) {
    int count = driver.deviceCount();
    if (index < 0 || index >= count) {
      throw new UserException(
          "device cuda:" + index + ": no such GPU (expected: cuda:0 to cuda:" + (count - 1) + ")",
          "nvidia-smi -L lists them; CUDA_VISIBLE_DEVICES hides some");
    }
    this.driver = driver;
    this.index = index;
    this.handle = driver.device(index);
    this.capability =
        10 * driver.attribute(Attribute.CAPABILITY_MAJOR, handle)
            + driver.attribute(Attribute.CAPABILITY_MINOR, handle);
    if (capability < LEAST_CAPABILITY) {
      throw new UserException(
          "device cuda:%d: %s has compute capability %.1f (expected: >= 8.0, for bf16)"
              .formatted(index, driver.name(handle), capability / 10.0),
          "device=nd4j with -Pnd4j-cuda serves GPUs from 3.7 to 8.6");
    }
    this.multiprocessors = driver.attribute(Attribute.MULTIPROCESSORS, handle);
    this.sharedBytes = driver.attribute(Attribute.SHARED_BYTES, handle);
    this.context = driver.retainPrimaryContext(handle);
    enter();
    this.stream = driver.createStream();
    this.lanes = new Lanes(driver, stream);
    this.copyStream = driver.createStream();
    this.reclaimStream = driver.createStream();
    this.pool = driver.createPool(handle);
  }

  Driver driver() {
    return driver;
  }

  int index() {
    return index;
  }

  /**
   * The stream for what comes next: the main one, in which work is done in order, or a lane for a
   * thread that is in one.
   */
  long stream() {
    enter();
    return lanes.current();
  }

  /** Work beside the main stream. */
  Lanes lanes() {
    return lanes;
  }

  /** The stream of copies from other GPUs, which run beside the work. */
  long copyStream() {
    return copyStream;
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
    if (CURRENT.get() != context) {
      driver.setCurrent(context);
      CURRENT.set(context);
    }
  }

  /** Has {@link #explain} say more about a failure than the driver does. */
  void explainBy(UnaryOperator<CudaException> how) {
    explanation = how;
  }

  /** A failure of work that was queued earlier, with what is known of it. */
  CudaException explain(CudaException e) {
    return explanation.apply(e);
  }

  /** The stream in whose order memory for what comes next is had and given back. */
  long memoryStream() {
    enter();
    return lanes.memory();
  }

  /** Memory for what comes next in the stream. */
  long allocate(long bytes) {
    return allocate(bytes, memoryStream());
  }

  /** Memory for what comes next in one of this GPU's streams. */
  long allocate(long bytes, long forStream) {
    enter();
    try {
      return driver.allocate(bytes, pool, forStream);
    } catch (CudaException e) {
      if (e.code() != CudaException.OUT_OF_MEMORY) {
        throw e;
      }
    }
    // What was freed behind work that is put off, and what the pool keeps in pieces that do not
    // fit:
    // give them back, and ask once more.
    lanes.joined();
    driver.synchronize(forStream);
    driver.trimPool(pool);
    return driver.allocate(bytes, pool, forStream);
  }

  /** Frees memory once the work that was asked for so far is done with it. */
  void free(long address) {
    enter();
    lanes.free(address);
  }

  /** Frees memory once another GPU is done with it, whatever this one does meanwhile. */
  void freeAfter(long address, long event) {
    enter();
    driver.waitFor(reclaimStream, event);
    driver.free(address, reclaimStream);
  }

  /** Lets another GPU of this process read and write this one's memory, where the machine can. */
  void letIn(Gpu peer) {
    if (driver.canAccessPeer(peer.handle, handle)) {
      peer.enter();
      driver.enablePeerAccess(context);
      driver.sharePool(pool, peer.handle);
    }
  }

  /** Waits for all work. */
  void synchronize() {
    driver.synchronize(stream());
  }

  @Override
  public void close() {
    synchronize();
    lanes.close();
    for (long each : new long[] {stream, copyStream, reclaimStream}) {
      driver.synchronize(each);
      driver.destroyStream(each);
    }
    driver.destroyPool(pool);
    driver.releasePrimaryContext(handle);
    CURRENT.remove();
  }
}
