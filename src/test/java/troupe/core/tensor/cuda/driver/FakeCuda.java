package troupe.core.tensor.cuda.driver;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/**
 * NVIDIA's libraries without a GPU, one of Hopper's unless it {@link #isAmpere}: nothing is
 * computed, everything is done at once unless it {@link #hangs}, and what was created and not
 * destroyed yet is known.
 */
public final class FakeCuda extends FakeFunctions {
  /** What a call of the driver says of work that is not done. */
  public static final int NOT_READY = 600;

  private static final int FAILED = 999;

  /** What creates something, which it writes to the address it is given, and what destroys it. */
  private static final Map<String, String> PAIRS =
      Map.ofEntries(
          Map.entry("cuDevicePrimaryCtxRetain", "cuDevicePrimaryCtxRelease_v2"),
          Map.entry("cuStreamCreate", "cuStreamDestroy_v2"),
          Map.entry("cuEventCreate", "cuEventDestroy_v2"),
          Map.entry("cuMemPoolCreate", "cuMemPoolDestroy"),
          Map.entry("cuMemAllocFromPoolAsync", "cuMemFreeAsync"),
          Map.entry("cuMemAlloc_v2", "cuMemFree_v2"),
          Map.entry("cuMemHostAlloc", "cuMemFreeHost"),
          Map.entry("cuIpcOpenMemHandle_v2", "cuIpcCloseMemHandle"),
          Map.entry("cuModuleLoadData", "cuModuleUnload"),
          Map.entry("cublasLtCreate", "cublasLtDestroy"),
          Map.entry("cublasLtMatmulDescCreate", "cublasLtMatmulDescDestroy"),
          Map.entry("cublasLtMatrixLayoutCreate", "cublasLtMatrixLayoutDestroy"),
          Map.entry("cublasLtMatmulPreferenceCreate", "cublasLtMatmulPreferenceDestroy"));

  private static final long FIRST_HANDLE = 1024;

  /** Of memory, as the driver has it. */
  private static final long ALIGNMENT = 256;

  /** A CUlaunchConfig, and where its stream is. */
  private static final int CONFIG_BYTES = 56;

  private static final int STREAM_AT = 32;

  private static final int CAPABILITY_MINOR = 76;
  private static final int AMPERE = 8;
  private static final int HOPPER = 9;

  private final Arena memory = Arena.ofAuto();
  private final AtomicLong handles = new AtomicLong(FIRST_HANDLE);
  private final Map<Long, String> open = new ConcurrentHashMap<>();
  private final List<String> calls = new CopyOnWriteArrayList<>();
  private final Map<String, Integer> failing = new ConcurrentHashMap<>();
  private final Map<String, CountDownLatch> held = new ConcurrentHashMap<>();
  private final AtomicInteger callsUntilFailure = new AtomicInteger(Integer.MAX_VALUE);
  private final Set<Long> hanging = ConcurrentHashMap.newKeySet();
  private final Set<Long> hangingStreams = ConcurrentHashMap.newKeySet();
  private final Map<Long, Long> streamOfEvent = new ConcurrentHashMap<>();
  private final List<MemorySegment> copied = new CopyOnWriteArrayList<>();
  private final List<MemorySegment> copiedOut = new CopyOnWriteArrayList<>();
  private final List<Copy> copiedWithin = new CopyOnWriteArrayList<>();
  private final Set<Long> tellers = ConcurrentHashMap.newKeySet();
  private final List<Telling> untold = new CopyOnWriteArrayList<>();
  private final List<Wait> waited = new CopyOnWriteArrayList<>();
  private volatile boolean hangs;
  private volatile int capability = HOPPER;

  /** A copy that neither begins nor ends in memory of the host. */
  public record Copy(long to, long from, long bytes, long stream) {}

  /** A number that the host looks for: what the kernel {@code tell_host} ends with. */
  private record Telling(long stream, long address, int number) {}

  /** What a stream waits for in memory of the host. */
  public record Wait(long stream, int value) {}

  /** The driver. */
  public Driver driver() {
    return new Driver(this);
  }

  /** The library of matrix products. */
  public BlasLt blas() {
    return new BlasLt(this);
  }

  /** Has the GPU be one that does no products of many experts at once. */
  public void isAmpere() {
    capability = AMPERE;
  }

  /** Whether what is queued ends. */
  public void hangs(boolean on) {
    hangs = on;
    tell();
  }

  /** Whether what is before an event ends. */
  public void hangsAt(long event, boolean on) {
    if (on) {
      hanging.add(event);
    } else {
      hanging.remove(event);
    }
  }

  /** Has nothing end that is in a stream, nor what was. */
  public void hangsIn(long stream) {
    hangingStreams.add(stream);
  }

  /** Has everything end that is in a stream. */
  public void goesOnIn(long stream) {
    hangingStreams.remove(stream);
    tell();
  }

  /** Has all calls of a function fail, or none if the code is 0. */
  public void fail(String function, int code) {
    failing.put(function, code);
  }

  /** Has calls of a function return no sooner than that. */
  public void hold(String function, CountDownLatch until) {
    held.put(function, until);
  }

  /** Has so many calls succeed, whatever they are, and the one after them fail. */
  public void failAfter(int successes) {
    callsUntilFailure.set(successes);
  }

  /** What was created and not destroyed. */
  public List<String> open() {
    return open.values().stream().sorted().toList();
  }

  /** What is not destroyed will not be. */
  public void forget() {
    open.clear();
  }

  /** What copies to the GPU were made from, in order; those that hang still need it. */
  public List<MemorySegment> copied() {
    return copied;
  }

  /** What copies from the GPU were made to, in order; those that hang still write it. */
  public List<MemorySegment> copiedOut() {
    return copiedOut;
  }

  /** Copies within the GPU, or from another, in order. */
  public List<Copy> copiedWithin() {
    return copiedWithin;
  }

  /** What streams wait for in memory of the host, in order. */
  public List<Wait> waited() {
    return waited;
  }

  /** The functions that were called, in order. */
  public List<String> calls() {
    // As they are now: other threads go on calling.
    return List.copyOf(calls);
  }

  /** Those after the first so many. */
  public List<String> callsSince(int before) {
    List<String> all = calls();
    return all.subList(before, all.size());
  }

  @Override
  int call(String name, Object[] arguments) {
    calls.add(name);
    CountDownLatch until = held.get(name);
    if (until != null) {
      try {
        until.await();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
    int code = failing.getOrDefault(name, 0);
    if (callsUntilFailure.getAndDecrement() == 0) {
      code = FAILED;
    }
    if (code != 0) {
      return code;
    }
    if (PAIRS.containsKey(name)) {
      return create(name, arguments);
    }
    if (PAIRS.containsValue(name)) {
      open.remove(handle(name, arguments[0]));
    }
    switch (name) {
      case "cuDeviceGetCount" -> writeInt(arguments[0], 1);
      case "cuDriverGetVersion" -> writeInt(arguments[0], 13_000);
      case "cuDeviceGetAttribute" ->
          writeInt(arguments[0], (int) arguments[1] == CAPABILITY_MINOR ? 0 : capability);
      case "cuModuleGetFunction" -> {
        long function = handles.addAndGet(ALIGNMENT);
        writeLong(arguments[0], function);
        if (text((long) arguments[2]).equals("tell_host")) {
          tellers.add(function);
        }
      }
      case "cuLaunchKernelEx" -> {
        if (tellers.contains((long) arguments[1])) {
          untold.add(telling((long) arguments[0], (long) arguments[2]));
          tell();
        }
      }
      case "cublasLtMatmulAlgoGetHeuristic" -> writeInt(arguments[9], 1);
      case "cuMemGetInfo_v2" -> writeLong(arguments[0], 3L << 29);
      case "cuMemcpyHtoDAsync_v2" ->
          copied.add(MemorySegment.ofAddress((long) arguments[1]).reinterpret((long) arguments[2]));
      case "cuMemcpyDtoHAsync_v2" ->
          copiedOut.add(
              MemorySegment.ofAddress((long) arguments[0]).reinterpret((long) arguments[2]));
      case "cuMemcpyDtoDAsync_v2" ->
          copiedWithin.add(
              new Copy(
                  (long) arguments[0],
                  (long) arguments[1],
                  (long) arguments[2],
                  (long) arguments[3]));
      case "cuMemHostRegister_v2" -> open.put((long) arguments[0], name);
      case "cuMemHostUnregister" -> open.remove((long) arguments[0]);
      case "cuMemHostGetDevicePointer_v2" -> writeLong(arguments[0], (long) arguments[1]);
      case "cuStreamWriteValue32_v2" -> {
        if (!hangingStreams.contains((long) arguments[0])) {
          writeInt(arguments[1], (int) arguments[2]);
        }
      }
      case "cuStreamWaitValue32_v2" ->
          waited.add(new Wait((long) arguments[0], (int) arguments[2]));
      case "cuIpcGetMemHandle" -> writeLong(arguments[0], (long) arguments[1]);
      case "cuEventRecord" -> streamOfEvent.put((long) arguments[0], (long) arguments[1]);
      case "cuEventQuery" -> {
        return hangs || isHanging((long) arguments[0]) ? NOT_READY : 0;
      }
      case "cuStreamQuery" -> {
        return hangs ? NOT_READY : 0;
      }
      default -> {}
    }
    return 0;
  }

  private static String text(long address) {
    return MemorySegment.ofAddress(address).reinterpret(Integer.MAX_VALUE).getString(0);
  }

  private static Telling telling(long config, long parameters) {
    MemorySegment launch = MemorySegment.ofAddress(config).reinterpret(CONFIG_BYTES);
    MemorySegment addresses = MemorySegment.ofAddress(parameters).reinterpret(5L * Long.BYTES);
    return new Telling(
        launch.get(ValueLayout.JAVA_LONG, STREAM_AT),
        argument(addresses, 3).get(ValueLayout.JAVA_LONG, 0),
        argument(addresses, 4).get(ValueLayout.JAVA_INT, 0));
  }

  private static MemorySegment argument(MemorySegment addresses, int i) {
    return MemorySegment.ofAddress(addresses.getAtIndex(ValueLayout.JAVA_LONG, i))
        .reinterpret(Long.BYTES);
  }

  /** Ends the kernels that may. */
  private void tell() {
    for (Telling each : untold) {
      if (!hangs && !hangingStreams.contains(each.stream())) {
        writeInt(each.address(), each.number());
        untold.remove(each);
      }
    }
  }

  private boolean isHanging(long event) {
    Long stream = streamOfEvent.get(event);
    return hanging.contains(event) || stream != null && hangingStreams.contains(stream);
  }

  private int create(String name, Object[] arguments) {
    long handle =
        switch (name) {
          case "cuMemHostAlloc" -> memory.allocate((long) arguments[1], 64).address();
          case "cuDevicePrimaryCtxRetain" -> FIRST_HANDLE;
          default -> handles.addAndGet(ALIGNMENT);
        };
    open.put(handle, name);
    writeLong(arguments[0], handle);
    return 0;
  }

  /** A context is given back by the number of its device. */
  private static long handle(String destroyer, Object argument) {
    return destroyer.equals("cuDevicePrimaryCtxRelease_v2") ? FIRST_HANDLE : (long) argument;
  }

  private static void writeLong(Object address, long value) {
    MemorySegment.ofAddress((long) address)
        .reinterpret(Long.BYTES)
        .set(ValueLayout.JAVA_LONG, 0, value);
  }

  private static void writeInt(Object address, int value) {
    MemorySegment.ofAddress((long) address)
        .reinterpret(Integer.BYTES)
        .set(ValueLayout.JAVA_INT, 0, value);
  }
}
