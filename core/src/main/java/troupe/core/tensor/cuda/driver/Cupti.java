package troupe.core.tensor.cuda.driver;

import static troupe.core.tensor.cuda.driver.NativeLibrary.INT;
import static troupe.core.tensor.cuda.driver.NativeLibrary.LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;

/**
 * CUPTI, NVIDIA's profiling library, as far as it records what all GPUs of this process do. Its
 * first use attaches it to the process, to contexts that are open already too; it stays attached
 * when it is stopped, and then costs some time at each launch still. So whoever times something
 * does that first.
 */
public final class Cupti {
  /** Buffers that it may have; 256 MiB. */
  private static final int MOST_BUFFERS = 64;

  private static final int FLUSH_FORCED = 1;
  private static final int NO_MORE_RECORDS = 12;
  private static final int NOT_A_RECORD = 21;

  private final MethodHandle getResultString;
  private final MethodHandle getTimestamp;
  private final MethodHandle activityRegisterCallbacks;
  private final MethodHandle activityEnable;
  private final MethodHandle activityDisable;
  private final MethodHandle activityFlushAll;
  private final MethodHandle activityGetNextRecord;
  private final MethodHandle activityGetNumDroppedRecords;
  private final Calls calls = new Calls(this::describe);
  private final ActivityBuffers buffers = new ActivityBuffers(MOST_BUFFERS);
  private final AtomicLong unread = new AtomicLong();
  private boolean registered;
  private volatile ActivityRecords records = new ActivityRecords();
  private volatile Consumer<GpuActivity> receiver = activity -> {};

  /** Binds the library; nothing is attached yet. */
  Cupti(Functions library) {
    getResultString = library.function("cuptiGetResultString", INT, LONG);
    getTimestamp = library.function("cuptiGetTimestamp", LONG);
    activityRegisterCallbacks = library.function("cuptiActivityRegisterCallbacks", LONG, LONG);
    activityEnable = library.function("cuptiActivityEnable", INT);
    activityDisable = library.function("cuptiActivityDisable", INT);
    activityFlushAll = library.function("cuptiActivityFlushAll", INT);
    activityGetNextRecord = library.function("cuptiActivityGetNextRecord", LONG, LONG, LONG);
    activityGetNumDroppedRecords =
        library.function("cuptiActivityGetNumDroppedRecords", LONG, INT, LONG);
  }

  /** CUPTI's words for a status. */
  private String describe(int status) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment result = arena.allocate(ValueLayout.JAVA_LONG);
      int failed = Calls.status(() -> (int) getResultString.invokeExact(status, result.address()));
      long text = result.get(ValueLayout.JAVA_LONG, 0);
      return failed != 0 || text == 0
          ? "status " + status
          : MemorySegment.ofAddress(text).reinterpret(Integer.MAX_VALUE).getString(0);
    }
  }

  /** Now, in nanoseconds of the clock that activities have. */
  public long nowNs() {
    return calls.longOf("cuptiGetTimestamp", result -> (int) getTimestamp.invokeExact(result));
  }

  /**
   * Records whatever is launched from now on.
   *
   * @param to gets activities in no order, some time after they end, from threads of CUPTI's or
   *     from those that launch; it must not call CUDA
   * @throws CudaException if this process cannot be profiled; nothing is recorded then
   */
  public synchronized void start(Consumer<GpuActivity> to) {
    receiver = to;
    records = new ActivityRecords();
    register();
    try {
      for (int kind : ActivityRecords.KINDS) {
        calls.run("cuptiActivityEnable", () -> (int) activityEnable.invokeExact(kind));
      }
    } catch (CudaException e) {
      disable();
      throw e;
    }
    droppedRecords();
  }

  private void register() {
    if (registered) {
      return;
    }
    long requested =
        upcall(
            "requested",
            MethodType.methodType(void.class, long.class, long.class, long.class),
            FunctionDescriptor.ofVoid(LONG, LONG, LONG));
    long completed =
        upcall(
            "completed",
            MethodType.methodType(
                void.class, long.class, int.class, long.class, long.class, long.class),
            FunctionDescriptor.ofVoid(LONG, INT, LONG, LONG, LONG));
    calls.run(
        "cuptiActivityRegisterCallbacks",
        () -> (int) activityRegisterCallbacks.invokeExact(requested, completed));
    registered = true;
  }

  /** The address of a method for native code to call. It lives as long as CUPTI may. */
  private long upcall(String method, MethodType type, FunctionDescriptor descriptor) {
    try {
      MethodHandle handle = MethodHandles.lookup().bind(this, method, type);
      return Linker.nativeLinker().upcallStub(handle, descriptor, Arena.global()).address();
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(e);
    }
  }

  /**
   * Stops, and has all that was recorded delivered before it returns. The GPUs have to be done:
   * what still runs is lost.
   *
   * @return how many activities were lost, for want of memory or of a time
   */
  public synchronized long stop() {
    disable();
    calls.run("cuptiActivityFlushAll", () -> (int) activityFlushAll.invokeExact(FLUSH_FORCED));
    receiver = activity -> {};
    return droppedRecords();
  }

  private void disable() {
    for (int kind : ActivityRecords.KINDS) {
      // Whether it was enabled or not.
      Calls.status(() -> (int) activityDisable.invokeExact(kind));
    }
  }

  /** How many there were since this was asked last. */
  private long droppedRecords() {
    return unread.getAndSet(0)
        + calls.longOf(
            "cuptiActivityGetNumDroppedRecords",
            result -> (int) activityGetNumDroppedRecords.invokeExact(0L, 0, result));
  }

  /** CUPTI wants memory: {@code void (uint8_t **buffer, size_t *size, size_t *maxNumRecords)}. */
  private void requested(long buffer, long size, long maxRecords) {
    // What is thrown into native code ends the process.
    long address = 0;
    try {
      address = buffers.take();
    } catch (RuntimeException | Error e) {
      unread.incrementAndGet();
    }
    set(buffer, address);
    set(size, address == 0 ? 0 : ActivityBuffers.BYTES);
    set(maxRecords, 0); // as many as it holds
  }

  private static void set(long address, long value) {
    MemorySegment.ofAddress(address).reinterpret(LONG.byteSize()).set(LONG, 0, value);
  }

  /**
   * CUPTI has filled memory: {@code void (CUcontext context, uint32_t streamId, uint8_t *buffer,
   * size_t size, size_t validSize)}.
   */
  private void completed(long context, int stream, long buffer, long size, long validSize) {
    try {
      if (validSize > 0) {
        read(buffer, validSize);
      }
    } catch (RuntimeException | Error e) {
      unread.incrementAndGet();
    }
    buffers.giveBack(buffer);
  }

  private void read(long buffer, long validSize) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment place = arena.allocate(ValueLayout.JAVA_LONG);
      while (true) {
        int status =
            Calls.status(
                () -> (int) activityGetNextRecord.invokeExact(buffer, validSize, place.address()));
        if (status == NO_MORE_RECORDS || status == NOT_A_RECORD) {
          return;
        }
        calls.check("cuptiActivityGetNextRecord", status);
        records.read(place.get(ValueLayout.JAVA_LONG, 0)).ifPresent(this::deliver);
      }
    }
  }

  private void deliver(GpuActivity activity) {
    // Without memory on the GPU for them, times are zero; of what never ended, the end.
    if (activity.startNs() == 0 || activity.endNs() < activity.startNs()) {
      unread.incrementAndGet();
    } else {
      receiver.accept(activity);
    }
  }
}
