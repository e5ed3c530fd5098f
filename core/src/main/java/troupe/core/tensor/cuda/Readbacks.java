package troupe.core.tensor.cuda;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;
import java.util.ArrayDeque;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.function.Function;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import troupe.core.tensor.cuda.driver.CudaException;
import troupe.core.tensor.cuda.driver.Driver;

/**
 * Small copies to the host that nobody waits for: each is queued in the stream, and a thread of its
 * own tells whoever asked once it is here.
 *
 * <p>A kernel writes the smallest, such as counts of rows, and then a number behind them for which
 * the host looks: a copy of the driver's and its event keep a GPU idle for some 15 us, which then
 * waits for what the host makes of the counts.
 */
final class Readbacks implements AutoCloseable {
  /** More than all experts and layers of a large model have under way in a step. */
  private static final int MOST_WAITING = 65_536;

  /** Bytes that a kernel of one block writes sooner than the driver begins a copy. */
  private static final long MOST_BY_KERNEL = 16_384;

  /** Bytes between the number and what it stands for: a line of a cache. */
  private static final long HEAD = 128;

  private static final VarHandle NUMBER = ValueLayout.JAVA_INT.varHandle();

  private static final Logger LOG = LoggerFactory.getLogger(Readbacks.class);

  private final Gpu gpu;
  private final Driver driver;
  private final Launcher launcher;
  private final ArrayDeque<Slot> idle = new ArrayDeque<>();
  private final Resources resources = new Resources();
  private final BlockingQueue<Pending<?>> awaited = new ArrayBlockingQueue<>(MOST_WAITING);
  private final Thread waiter;

  /** Pinned memory, and what says that it is filled: an event, or a number at its beginning. */
  private static final class Slot {
    private final MemorySegment memory;
    private final MemorySegment data;
    private final long event;
    private int number;
    private boolean byKernel;

    Slot(MemorySegment memory, long event) {
      this.memory = memory;
      this.data = memory.asSlice(HEAD);
      this.event = event;
    }

    boolean isWritten() {
      return (int) NUMBER.getAcquire(memory, 0L) == number;
    }
  }

  Readbacks(Gpu gpu, Launcher launcher) {
    this.gpu = gpu;
    this.driver = gpu.driver();
    this.launcher = launcher;
    this.waiter =
        Thread.ofPlatform()
            .daemon()
            .name("cuda:" + gpu.index() + "-readbacks")
            .start(this::tellWhenDone);
  }

  /**
   * Queues a copy of {@code bytes} bytes.
   *
   * @param decode makes the result of what has come; the memory is reused when it returns
   */
  <X> Pending<X> read(long from, long bytes, Function<MemorySegment, X> decode) {
    gpu.enter();
    Slot slot = take(bytes);
    slot.byKernel = bytes <= MOST_BY_KERNEL && (from | bytes) % Integer.BYTES == 0;
    if (slot.byKernel) {
      slot.number++;
      launcher.launch(
          "tell_host",
          Grid.line(1, 256),
          slot.data.address(),
          from,
          (int) (bytes / Integer.BYTES),
          slot.memory.address(),
          slot.number);
    } else {
      gpu.queue(
          stream -> {
            driver.copyToHost(slot.data.address(), from, bytes, stream);
            driver.record(slot.event, stream);
          });
    }
    return new Pending<>(slot, decode);
  }

  private synchronized Slot take(long bytes) {
    for (Slot slot : idle) {
      if (slot.data.byteSize() >= bytes) {
        idle.remove(slot);
        return slot;
      }
    }
    long room = HEAD + Math.max(4096, Long.highestOneBit(bytes) * 2);
    MemorySegment memory = gpu.memory().allocateHost(room, "a copy that is read back");
    resources.onClose(() -> driver.freeHost(memory));
    memory.set(ValueLayout.JAVA_INT, 0, 0);
    long event = driver.createEvent(false);
    resources.onClose(() -> driver.destroyEvent(event));
    return new Slot(memory, event);
  }

  private synchronized void give(Slot slot) {
    idle.push(slot);
  }

  private boolean isHere(Slot slot) {
    if (!slot.byKernel) {
      return gpu.isDone(slot.event);
    }
    if (slot.isWritten()) {
      return true;
    }
    gpu.check();
    return false;
  }

  private void awaitFilled(Slot slot) {
    if (slot.byKernel) {
      gpu.awaitMemory(slot::isWritten);
    } else {
      gpu.awaitEvent(slot.event);
    }
  }

  private void tellWhenDone() {
    try {
      while (true) {
        Pending<?> next = awaited.take();
        next.await();
        try {
          next.tell();
        } catch (RuntimeException e) {
          // Its failure is no reason to tell nobody any more.
          LOG.error("{}: what waited for a copy has failed", Thread.currentThread().getName(), e);
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** A copy under way. */
  final class Pending<X> {
    private final Slot slot;
    private final Function<MemorySegment, X> decode;
    private Runnable action;
    private X value;
    private RuntimeException failure;

    private Pending(Slot slot, Function<MemorySegment, X> decode) {
      this.slot = slot;
      this.decode = decode;
    }

    synchronized boolean isDone() {
      if (value != null || failure != null) {
        return true;
      }
      return isHere(slot);
    }

    /** The result, waiting for the device. */
    synchronized X get() {
      if (value == null) {
        await();
        if (failure != null) {
          throw failure;
        }
        value = decode.apply(slot.data);
        give(slot);
      }
      return value;
    }

    /** Waits; what goes wrong is kept for {@link #get}. */
    private synchronized void await() {
      if (value == null && failure == null) {
        try {
          awaitFilled(slot);
        } catch (CudaException e) {
          failure = e;
        }
      }
    }

    /**
     * Has the thread of readbacks run an action once the copy is here.
     *
     * @throws IllegalStateException if there is an action already
     */
    void whenDone(Runnable toRun) {
      synchronized (this) {
        if (action != null) {
          throw new IllegalStateException("whenDone: asked twice (expected: once)");
        }
        action = toRun;
      }
      if (!awaited.offer(this)) {
        throw new IllegalStateException("readbacks: " + MOST_WAITING + " wait (expected: fewer)");
      }
    }

    private void tell() {
      action.run();
    }
  }

  /**
   * {@inheritDoc}
   *
   * @throws IllegalStateException if an action has not ended in time
   */
  @Override
  public void close() {
    waiter.interrupt();
    try {
      // It may be looking at an event, or be in an action.
      if (!waiter.join(gpu.patience())) {
        throw new IllegalStateException(
            waiter.getName() + ": still busy after " + gpu.patience() + " (expected: at its end)");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    gpu.enter();
    resources.close();
  }
}
