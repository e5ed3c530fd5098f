package troupe.core.tensor.cuda;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import troupe.core.tensor.cuda.driver.Driver;

/**
 * Copies between a GPU and its host through pinned memory, from which alone the copy engines work
 * by themselves. Copies to the device are queued behind the work of the stream and return at once,
 * unless pinned memory is full.
 */
final class Transfers implements AutoCloseable {
  private static final long HALF = 8L << 20;
  private static final long ALIGNMENT = 256;

  private final Gpu gpu;
  private final Driver driver;
  private final Resources resources = new Resources();
  private final MemorySegment up;
  private final MemorySegment down;

  /** Of what comes from other processes and finds no memory in {@link PinnedCopies}. */
  private final MemorySegment received;

  private Half filling;
  private Half other;
  private long used;

  Transfers(Gpu gpu) {
    this.gpu = gpu;
    this.driver = gpu.driver();
    gpu.enter();
    try {
      this.up = allocateHost(2 * HALF, "copies to the GPU");
      this.down = allocateHost(HALF, "copies from the GPU");
      this.received = allocateHost(HALF, "copies of what is received");
      this.filling = new Half(up.asSlice(0, HALF));
      this.other = new Half(up.asSlice(HALF, HALF));
    } catch (RuntimeException e) {
      resources.closeAfter(e);
      throw e;
    }
  }

  /** Half of {@link #up}: one is filled while copies out of the other are under way. */
  private final class Half {
    private final MemorySegment memory;

    /** The streams of those copies. They do not wait for each other, so each has its own end. */
    private final Set<Long> streams = new LinkedHashSet<>();

    private final Map<Long, Long> ends = new HashMap<>();

    Half(MemorySegment memory) {
      this.memory = memory;
    }

    void recordEnds() {
      for (long stream : streams) {
        driver.record(ends.computeIfAbsent(stream, its -> createEvent()), stream);
      }
    }

    void awaitEnds() {
      for (long stream : streams) {
        gpu.awaitEvent(ends.get(stream));
      }
      streams.clear();
    }
  }

  private long createEvent() {
    long event = driver.createEvent(false);
    resources.onClose(() -> driver.destroyEvent(event));
    return event;
  }

  private MemorySegment allocateHost(long bytes, String purpose) {
    MemorySegment memory = gpu.memory().allocateHost(bytes, purpose);
    resources.onClose(() -> driver.freeHost(memory));
    return memory;
  }

  /** Copies to the device; {@code from} may be reused at once. */
  void toDevice(long to, MemorySegment from) {
    gpu.queue(stream -> toDevice(to, from, stream));
  }

  private synchronized void toDevice(long to, MemorySegment from, long stream) {
    for (long done = 0; done < from.byteSize(); ) {
      long count = Math.min(HALF, from.byteSize() - done);
      MemorySegment place = room(count, stream);
      MemorySegment.copy(from, done, place, 0, count);
      driver.copyToDevice(to + done, place.address(), count, stream);
      done += count;
    }
  }

  /** Pinned memory that no copy needs any more, for one in a stream. */
  private MemorySegment room(long bytes, long stream) {
    if (used + bytes > HALF) {
      filling.recordEnds();
      other.awaitEnds();
      Half full = filling;
      filling = other;
      other = full;
      used = 0;
    }
    filling.streams.add(stream);
    MemorySegment place = filling.memory.asSlice(used, bytes);
    used += (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return place;
  }

  /** A copy of these on the device. */
  Scratch upload(int[] values) {
    return upload(MemorySegment.ofArray(values));
  }

  /** The same for addresses. */
  Scratch upload(long[] values) {
    return upload(MemorySegment.ofArray(values));
  }

  /** The same, rounded to float32. */
  Scratch uploadFloats(double[] values) {
    float[] rounded = new float[values.length];
    for (int i = 0; i < values.length; i++) {
      rounded[i] = (float) values[i];
    }
    return upload(MemorySegment.ofArray(rounded));
  }

  /** The same, exact. */
  Scratch uploadDoubles(double[] values) {
    return upload(MemorySegment.ofArray(values));
  }

  private Scratch upload(MemorySegment values) {
    Scratch copy =
        gpu.memory().scratch(Math.max(ValueLayout.JAVA_LONG.byteSize(), values.byteSize()));
    try {
      toDevice(copy.address(), values);
    } catch (RuntimeException e) {
      copy.close();
      throw e;
    }
    return copy;
  }

  /**
   * Copies to memory that was allocated for the stream of such copies, and waits for that alone.
   */
  synchronized void receive(long to, MemorySegment from) {
    gpu.enter();
    for (long done = 0; done < from.byteSize(); ) {
      long count = Math.min(HALF, from.byteSize() - done);
      MemorySegment.copy(from, done, received, 0, count);
      driver.copyToDevice(to + done, received.address(), count, gpu.fromHostStream());
      gpu.awaitStream(gpu.fromHostStream());
      done += count;
    }
    gpu.awaitStream(gpu.fromHostStream());
  }

  /** Copies to the host, waiting for the device. */
  void toHost(MemorySegment to, long from) {
    gpu.queue(stream -> toHost(to, from, stream));
  }

  /** Copies to the host what is there at a point of the GPU's work; waits for no more. */
  void send(MemorySegment to, long from, long ready) {
    gpu.enter();
    driver.waitFor(gpu.toHostStream(), ready);
    toHost(to, from, gpu.toHostStream());
  }

  private synchronized void toHost(MemorySegment to, long from, long stream) {
    gpu.enter();
    for (long done = 0; done < to.byteSize(); ) {
      long count = Math.min(HALF, to.byteSize() - done);
      driver.copyToHost(down.address(), from + done, count, stream);
      gpu.awaitStream(stream);
      MemorySegment.copy(down, 0, to, done, count);
      done += count;
    }
  }

  @Override
  public void close() {
    gpu.enter();
    resources.close();
  }
}
