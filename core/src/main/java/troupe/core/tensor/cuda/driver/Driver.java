package troupe.core.tensor.cuda.driver;

import static troupe.core.tensor.cuda.driver.NativeLibrary.INT;
import static troupe.core.tensor.cuda.driver.NativeLibrary.LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.atomic.AtomicLong;

/**
 * The CUDA driver, {@code libcuda.so.1}, as far as Troupe uses it. Methods are named after the
 * driver's functions and throw {@link CudaException} where those fail. Work that was queued earlier
 * and failed since shows in any later call: {@link CudaException#isLost} tells.
 */
public final class Driver {
  /** Attributes of a device that {@link #attribute} knows. */
  public enum Attribute {
    /** Number of multiprocessors. */
    MULTIPROCESSORS(16),
    /** Major part of the compute capability. */
    CAPABILITY_MAJOR(75),
    /** Minor part of the compute capability. */
    CAPABILITY_MINOR(76),
    /** Bytes of shared memory that a block may ask for. */
    SHARED_BYTES(97);

    private final int code;

    Attribute(int code) {
      this.code = code;
    }
  }

  /** Bytes of a description for the copy engine. */
  public static final int TENSOR_MAP_BYTES = 128;

  /** Bytes that {@link #encodeTensorMap} needs for itself. */
  public static final int TENSOR_SCRATCH_BYTES = 5 * Long.BYTES;

  private static final int LAUNCH_CONFIG_BYTES = 56;
  private static final int LAUNCH_ATTRIBUTE_BYTES = 72;

  /** Bytes that {@link #launch} needs for itself. */
  public static final int LAUNCH_SCRATCH_BYTES = LAUNCH_CONFIG_BYTES + LAUNCH_ATTRIBUTE_BYTES;

  private static final int PROGRAMMATIC_STREAM_SERIALIZATION = 6;
  private static final int TENSOR_BF16 = 9;
  private static final int SWIZZLE_128_BYTES = 3;
  private static final int PROMOTE_256_BYTES = 3;
  private static final int ALLOCATION_TYPE_PINNED = 1;
  private static final int LOCATION_TYPE_DEVICE = 1;
  private static final int ACCESS_READ_WRITE = 3;
  private static final int POOL_PROPERTIES_BYTES = 96;
  private static final int RELEASE_THRESHOLD = 4;
  private static final int STREAM_NON_BLOCKING = 1;
  private static final int EVENT_DISABLE_TIMING = 2;
  private static final int HOST_PORTABLE = 1;
  private static final int FUNCTION_MAX_DYNAMIC_SHARED = 8;
  private static final int PEER_ACCESS_ALREADY_ENABLED = 704;
  private static final int NOT_READY = 600;
  private static final int NOT_SUPPORTED = 801;
  private static final int IPC_LAZY_PEER_ACCESS = 1;
  private static final int REGISTER_FOR_ALL_CONTEXTS_AND_GPUS = 3;
  private static final int WAIT_UNTIL_NO_LESS = 0;

  /** Bytes of a name under which other processes open memory. */
  public static final int SHARED_HANDLE_BYTES = 64;

  private static final MemoryLayout SHARED_HANDLE =
      MemoryLayout.structLayout(
          MemoryLayout.sequenceLayout(SHARED_HANDLE_BYTES, ValueLayout.JAVA_BYTE));

  private final MethodHandle init;
  private final MethodHandle driverGetVersion;
  private final MethodHandle deviceGetCount;
  private final MethodHandle deviceGet;
  private final MethodHandle deviceGetName;
  private final MethodHandle deviceGetAttribute;
  private final MethodHandle deviceTotalMem;
  private final MethodHandle deviceCanAccessPeer;
  private final MethodHandle primaryCtxRetain;
  private final MethodHandle primaryCtxRelease;
  private final MethodHandle ctxSetCurrent;
  private final MethodHandle ctxEnablePeerAccess;
  private final MethodHandle streamCreate;
  private final MethodHandle streamQuery;
  private final MethodHandle streamWaitEvent;
  private final MethodHandle streamDestroy;
  private final MethodHandle eventCreate;
  private final MethodHandle eventRecord;
  private final MethodHandle eventQuery;
  private final MethodHandle eventElapsedTime;
  private final MethodHandle eventDestroy;
  private final MethodHandle memPoolCreate;
  private final MethodHandle memPoolDestroy;
  private final MethodHandle memPoolSetAttribute;
  private final MethodHandle memPoolTrimTo;
  private final MethodHandle memPoolSetAccess;
  private final MethodHandle memAllocFromPoolAsync;
  private final MethodHandle memFreeAsync;
  private final MethodHandle memGetInfo;
  private final MethodHandle memHostAlloc;
  private final MethodHandle memFreeHost;
  private final MethodHandle memcpyHtoDAsync;
  private final MethodHandle memcpyDtoHAsync;
  private final MethodHandle memcpyDtoDAsync;
  private final MethodHandle memcpyPeerAsync;
  private final MethodHandle memsetD8Async;
  private final MethodHandle moduleLoadData;
  private final MethodHandle moduleGetFunction;
  private final MethodHandle moduleUnload;
  private final MethodHandle funcSetAttribute;
  private final MethodHandle launchKernel;
  private final MethodHandle memAlloc;
  private final MethodHandle memFree;
  private final MethodHandle tensorMapEncodeTiled;

  /** Null, as the next two, where a driver has none. */
  private final MethodHandle ipcGetMemHandle;

  private final MethodHandle ipcOpenMemHandle;
  private final MethodHandle ipcCloseMemHandle;

  /** Null, as the next four, where a driver has none. */
  private final MethodHandle memHostRegister;

  private final MethodHandle memHostGetDevicePointer;
  private final MethodHandle memHostUnregister;
  private final MethodHandle streamWriteValue;
  private final MethodHandle streamWaitValue;
  private final MethodHandle getErrorName;
  private final MethodHandle getErrorString;
  private final Calls calls = new Calls(this::describe);
  private final AtomicLong pinnedBytes = new AtomicLong();

  /** Binds and initialises the driver. */
  Driver(Functions library) {
    init = library.function("cuInit", INT);
    driverGetVersion = library.function("cuDriverGetVersion", LONG);
    deviceGetCount = library.function("cuDeviceGetCount", LONG);
    deviceGet = library.function("cuDeviceGet", LONG, INT);
    deviceGetName = library.function("cuDeviceGetName", LONG, INT, INT);
    deviceGetAttribute = library.function("cuDeviceGetAttribute", LONG, INT, INT);
    deviceTotalMem = library.function("cuDeviceTotalMem_v2", LONG, INT);
    deviceCanAccessPeer = library.function("cuDeviceCanAccessPeer", LONG, INT, INT);
    primaryCtxRetain = library.function("cuDevicePrimaryCtxRetain", LONG, INT);
    primaryCtxRelease = library.function("cuDevicePrimaryCtxRelease_v2", INT);
    ctxSetCurrent = library.function("cuCtxSetCurrent", LONG);
    ctxEnablePeerAccess = library.function("cuCtxEnablePeerAccess", LONG, INT);
    streamCreate = library.function("cuStreamCreate", LONG, INT);
    streamQuery = library.function("cuStreamQuery", LONG);
    streamWaitEvent = library.function("cuStreamWaitEvent", LONG, LONG, INT);
    streamDestroy = library.function("cuStreamDestroy_v2", LONG);
    eventCreate = library.function("cuEventCreate", LONG, INT);
    eventRecord = library.function("cuEventRecord", LONG, LONG);
    eventQuery = library.function("cuEventQuery", LONG);
    eventElapsedTime = library.function("cuEventElapsedTime", LONG, LONG, LONG);
    eventDestroy = library.function("cuEventDestroy_v2", LONG);
    memPoolCreate = library.function("cuMemPoolCreate", LONG, LONG);
    memPoolDestroy = library.function("cuMemPoolDestroy", LONG);
    memPoolSetAttribute = library.function("cuMemPoolSetAttribute", LONG, INT, LONG);
    memPoolTrimTo = library.function("cuMemPoolTrimTo", LONG, LONG);
    memPoolSetAccess = library.function("cuMemPoolSetAccess", LONG, LONG, LONG);
    memAllocFromPoolAsync = library.function("cuMemAllocFromPoolAsync", LONG, LONG, LONG, LONG);
    memFreeAsync = library.function("cuMemFreeAsync", LONG, LONG);
    memGetInfo = library.function("cuMemGetInfo_v2", LONG, LONG);
    memHostAlloc = library.function("cuMemHostAlloc", LONG, LONG, INT);
    memFreeHost = library.function("cuMemFreeHost", LONG);
    memcpyHtoDAsync = library.function("cuMemcpyHtoDAsync_v2", LONG, LONG, LONG, LONG);
    memcpyDtoHAsync = library.function("cuMemcpyDtoHAsync_v2", LONG, LONG, LONG, LONG);
    memcpyDtoDAsync = library.function("cuMemcpyDtoDAsync_v2", LONG, LONG, LONG, LONG);
    memcpyPeerAsync = library.function("cuMemcpyPeerAsync", LONG, LONG, LONG, LONG, LONG, LONG);
    memsetD8Async = library.function("cuMemsetD8Async", LONG, INT, LONG, LONG);
    moduleLoadData = library.function("cuModuleLoadData", LONG, LONG);
    moduleGetFunction = library.function("cuModuleGetFunction", LONG, LONG, LONG);
    moduleUnload = library.function("cuModuleUnload", LONG);
    funcSetAttribute = library.function("cuFuncSetAttribute", LONG, INT, INT);
    launchKernel = library.function("cuLaunchKernelEx", LONG, LONG, LONG, LONG);
    memAlloc = library.function("cuMemAlloc_v2", LONG, LONG);
    memFree = library.function("cuMemFree_v2", LONG);
    tensorMapEncodeTiled =
        library.function(
            "cuTensorMapEncodeTiled",
            LONG,
            INT,
            INT,
            LONG,
            LONG,
            LONG,
            LONG,
            LONG,
            INT,
            INT,
            INT,
            INT);
    ipcGetMemHandle = optional(library, "cuIpcGetMemHandle", LONG, LONG);
    ipcOpenMemHandle = optional(library, "cuIpcOpenMemHandle_v2", LONG, SHARED_HANDLE, INT);
    ipcCloseMemHandle = optional(library, "cuIpcCloseMemHandle", LONG);
    memHostRegister = optional(library, "cuMemHostRegister_v2", LONG, LONG, INT);
    memHostGetDevicePointer = optional(library, "cuMemHostGetDevicePointer_v2", LONG, LONG, INT);
    memHostUnregister = optional(library, "cuMemHostUnregister", LONG);
    streamWriteValue = optional(library, "cuStreamWriteValue32_v2", LONG, LONG, INT, INT);
    streamWaitValue = optional(library, "cuStreamWaitValue32_v2", LONG, LONG, INT, INT);
    getErrorName = library.function("cuGetErrorName", INT, LONG);
    getErrorString = library.function("cuGetErrorString", INT, LONG);
    calls.run("cuInit", () -> (int) init.invokeExact(0));
  }

  private static MethodHandle optional(Functions library, String name, MemoryLayout... arguments) {
    try {
      return library.function(name, arguments);
    } catch (CudaException e) {
      return null;
    }
  }

  /** The driver's words for a code, such as {@code CUDA_ERROR_OUT_OF_MEMORY (out of memory)}. */
  private String describe(int code) {
    return text(code, getErrorName) + " (" + text(code, getErrorString) + ")";
  }

  private static String text(int code, MethodHandle function) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment result = arena.allocate(ValueLayout.JAVA_LONG);
      int status = Calls.status(() -> (int) function.invokeExact(code, result.address()));
      long address = result.get(ValueLayout.JAVA_LONG, 0);
      return status != 0 || address == 0
          ? "code " + code
          : MemorySegment.ofAddress(address).reinterpret(Integer.MAX_VALUE).getString(0);
    }
  }

  /** The CUDA version that the driver knows, such as 13000. */
  public int version() {
    return calls.intOf("cuDriverGetVersion", result -> (int) driverGetVersion.invokeExact(result));
  }

  /** Number of GPUs that this process may use. */
  public int deviceCount() {
    return calls.intOf("cuDeviceGetCount", result -> (int) deviceGetCount.invokeExact(result));
  }

  /** The driver's handle of a GPU by its index. */
  public int device(int index) {
    return calls.intOf("cuDeviceGet", result -> (int) deviceGet.invokeExact(result, index));
  }

  /** What a GPU is called. */
  public String name(int device) {
    int length = 256;
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment name = arena.allocate(length);
      calls.run(
          "cuDeviceGetName", () -> (int) deviceGetName.invokeExact(name.address(), length, device));
      return name.getString(0, StandardCharsets.US_ASCII);
    }
  }

  /** A property of a GPU. */
  public int attribute(Attribute attribute, int device) {
    return calls.intOf(
        "cuDeviceGetAttribute",
        result -> (int) deviceGetAttribute.invokeExact(result, attribute.code, device));
  }

  /** Bytes of memory of a GPU. */
  public long totalMemory(int device) {
    return calls.longOf(
        "cuDeviceTotalMem", result -> (int) deviceTotalMem.invokeExact(result, device));
  }

  /** Whether one GPU can read and write the memory of another. */
  public boolean canAccessPeer(int device, int peer) {
    return 0
        != calls.intOf(
            "cuDeviceCanAccessPeer",
            result -> (int) deviceCanAccessPeer.invokeExact(result, device, peer));
  }

  /** The context of a GPU that all of this process share. */
  public long retainPrimaryContext(int device) {
    return calls.longOf(
        "cuDevicePrimaryCtxRetain", result -> (int) primaryCtxRetain.invokeExact(result, device));
  }

  /** Gives the shared context back. */
  public void releasePrimaryContext(int device) {
    calls.run("cuDevicePrimaryCtxRelease", () -> (int) primaryCtxRelease.invokeExact(device));
  }

  /** Makes a context that of the calling thread. */
  public void setCurrent(long context) {
    calls.run("cuCtxSetCurrent", () -> (int) ctxSetCurrent.invokeExact(context));
  }

  /** Lets the current context use the memory of another one. */
  public void enablePeerAccess(long peerContext) {
    int code = Calls.status(() -> (int) ctxEnablePeerAccess.invokeExact(peerContext, 0));
    if (code != PEER_ACCESS_ALREADY_ENABLED) {
      calls.check("cuCtxEnablePeerAccess", code);
    }
  }

  /** A stream that waits for no other. */
  public long createStream() {
    return calls.longOf(
        "cuStreamCreate", result -> (int) streamCreate.invokeExact(result, STREAM_NON_BLOCKING));
  }

  /** Whether everything in a stream is done. */
  public boolean isIdle(long stream) {
    return isReady("cuStreamQuery", () -> (int) streamQuery.invokeExact(stream));
  }

  /** Has what comes next in a stream wait for an event. */
  public void waitFor(long stream, long event) {
    calls.run("cuStreamWaitEvent", () -> (int) streamWaitEvent.invokeExact(stream, event, 0));
  }

  /** Frees a stream once it is empty. */
  public void destroyStream(long stream) {
    calls.run("cuStreamDestroy", () -> (int) streamDestroy.invokeExact(stream));
  }

  /** An event; {@code timed} ones can be measured between and cost more. */
  public long createEvent(boolean timed) {
    return calls.longOf(
        "cuEventCreate",
        result -> (int) eventCreate.invokeExact(result, timed ? 0 : EVENT_DISABLE_TIMING));
  }

  /** Marks the place that a stream has come to. */
  public void record(long event, long stream) {
    calls.run("cuEventRecord", () -> (int) eventRecord.invokeExact(event, stream));
  }

  /** Whether everything before an event is done. */
  public boolean isDone(long event) {
    return isReady("cuEventQuery", () -> (int) eventQuery.invokeExact(event));
  }

  private boolean isReady(String name, Calls.Call query) {
    int code = Calls.status(query);
    if (code != NOT_READY) {
      calls.check(name, code);
    }
    return code == 0;
  }

  /** Milliseconds between two timed events. */
  public float millisBetween(long from, long to) {
    return Float.intBitsToFloat(
        calls.intOf(
            "cuEventElapsedTime", result -> (int) eventElapsedTime.invokeExact(result, from, to)));
  }

  /** Frees an event. */
  public void destroyEvent(long event) {
    calls.run("cuEventDestroy", () -> (int) eventDestroy.invokeExact(event));
  }

  /** A pool of a GPU's memory that keeps what is freed. */
  public long createPool(int device) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment properties = arena.allocate(POOL_PROPERTIES_BYTES);
      properties.setAtIndex(ValueLayout.JAVA_INT, 0, ALLOCATION_TYPE_PINNED);
      properties.setAtIndex(ValueLayout.JAVA_INT, 2, LOCATION_TYPE_DEVICE);
      properties.setAtIndex(ValueLayout.JAVA_INT, 3, device);
      long pool =
          calls.longOf(
              "cuMemPoolCreate",
              result -> (int) memPoolCreate.invokeExact(result, properties.address()));
      MemorySegment everything = arena.allocateFrom(ValueLayout.JAVA_LONG, -1L);
      try {
        calls.run(
            "cuMemPoolSetAttribute",
            () ->
                (int)
                    memPoolSetAttribute.invokeExact(pool, RELEASE_THRESHOLD, everything.address()));
        return pool;
      } catch (CudaException e) {
        destroyPool(pool);
        throw e;
      }
    }
  }

  /** Lets another GPU use what is in a pool. */
  public void sharePool(long pool, int peerDevice) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment access =
          arena.allocateFrom(
              ValueLayout.JAVA_INT, LOCATION_TYPE_DEVICE, peerDevice, ACCESS_READ_WRITE);
      calls.run(
          "cuMemPoolSetAccess",
          () -> (int) memPoolSetAccess.invokeExact(pool, access.address(), 1L));
    }
  }

  /** Gives idle memory of a pool back to the GPU. */
  public void trimPool(long pool) {
    calls.run("cuMemPoolTrimTo", () -> (int) memPoolTrimTo.invokeExact(pool, 0L));
  }

  /** Frees a pool and everything in it. */
  public void destroyPool(long pool) {
    calls.run("cuMemPoolDestroy", () -> (int) memPoolDestroy.invokeExact(pool));
  }

  /** Memory that may be used by what comes next in the stream. */
  public long allocate(long bytes, long pool, long stream) {
    return calls.longOf(
        "cuMemAllocFromPoolAsync",
        result -> (int) memAllocFromPoolAsync.invokeExact(result, bytes, pool, stream));
  }

  /** Frees memory once what is in the stream has used it. */
  public void free(long address, long stream) {
    calls.run("cuMemFreeAsync", () -> (int) memFreeAsync.invokeExact(address, stream));
  }

  /** Memory of the current context's GPU that every stream may use at once. */
  public long allocateNow(long bytes) {
    return calls.longOf("cuMemAlloc", result -> (int) memAlloc.invokeExact(result, bytes));
  }

  /** Frees memory from {@link #allocateNow} that nothing uses any more. */
  public void freeNow(long address) {
    calls.run("cuMemFree", () -> (int) memFree.invokeExact(address));
  }

  /**
   * A name under which other processes of this machine can open memory from {@link #allocateNow}.
   *
   * @throws CudaException also where driver or machine have no such thing
   */
  public byte[] share(long address) {
    requireSharing();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment handle = arena.allocate(SHARED_HANDLE);
      calls.run(
          "cuIpcGetMemHandle", () -> (int) ipcGetMemHandle.invokeExact(handle.address(), address));
      return handle.toArray(ValueLayout.JAVA_BYTE);
    }
  }

  /**
   * Opens memory of another process, of any GPU, for the current context; once each.
   *
   * @param handle from its {@link #share}
   * @return the address here
   * @throws CudaException also where this process cannot reach it
   */
  public long openShared(byte[] handle) {
    requireSharing();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment copy = arena.allocate(SHARED_HANDLE);
      MemorySegment.copy(handle, 0, copy, ValueLayout.JAVA_BYTE, 0, SHARED_HANDLE_BYTES);
      return calls.longOf(
          "cuIpcOpenMemHandle",
          result -> (int) ipcOpenMemHandle.invokeExact(result, copy, IPC_LAZY_PEER_ACCESS));
    }
  }

  /** Gives memory from {@link #openShared} back. */
  public void closeShared(long address) {
    calls.run("cuIpcCloseMemHandle", () -> (int) ipcCloseMemHandle.invokeExact(address));
  }

  /**
   * Pins memory of the host that was had elsewhere, so that streams write and read words of it.
   *
   * @return its address for {@link #writeWord} and {@link #waitForWord}
   * @throws CudaException also where driver or machine have no such thing
   */
  public long register(MemorySegment memory) {
    if (memHostRegister == null
        || memHostGetDevicePointer == null
        || memHostUnregister == null
        || streamWriteValue == null
        || streamWaitValue == null) {
      calls.check("cuStreamWaitValue32", NOT_SUPPORTED);
    }
    calls.run(
        "cuMemHostRegister",
        () ->
            (int)
                memHostRegister.invokeExact(
                    memory.address(), memory.byteSize(), REGISTER_FOR_ALL_CONTEXTS_AND_GPUS));
    try {
      return calls.longOf(
          "cuMemHostGetDevicePointer",
          result -> (int) memHostGetDevicePointer.invokeExact(result, memory.address(), 0));
    } catch (CudaException e) {
      unregister(memory);
      throw e;
    }
  }

  /** Ends what {@link #register} began; no stream may use it any more. */
  public void unregister(MemorySegment memory) {
    calls.run("cuMemHostUnregister", () -> (int) memHostUnregister.invokeExact(memory.address()));
  }

  /** Has a stream write a word once all before it is done and can be seen by everyone. */
  public void writeWord(long stream, long address, int value) {
    calls.run(
        "cuStreamWriteValue32",
        () -> (int) streamWriteValue.invokeExact(stream, address, value, 0));
  }

  /** Has what comes next in a stream wait until a word is no less, counting in a circle. */
  public void waitForWord(long stream, long address, int value) {
    calls.run(
        "cuStreamWaitValue32",
        () -> (int) streamWaitValue.invokeExact(stream, address, value, WAIT_UNTIL_NO_LESS));
  }

  private void requireSharing() {
    if (ipcGetMemHandle == null || ipcOpenMemHandle == null || ipcCloseMemHandle == null) {
      calls.check("cuIpcGetMemHandle", NOT_SUPPORTED);
    }
  }

  /**
   * Describes a row-major bf16 matrix to the copy engine, which brings square boxes of it, their
   * rows of 128 bytes swizzled, zeros beyond its ends.
   *
   * @param map {@link #TENSOR_MAP_BYTES} bytes, aligned to 64
   * @param scratch {@link #TENSOR_SCRATCH_BYTES} bytes that nobody else uses meanwhile
   * @param box rows and columns of a box
   */
  public void encodeTensorMap(
      MemorySegment map, MemorySegment scratch, long address, int rows, int columns, int box) {
    scratch.setAtIndex(ValueLayout.JAVA_LONG, 0, columns);
    scratch.setAtIndex(ValueLayout.JAVA_LONG, 1, rows);
    scratch.setAtIndex(ValueLayout.JAVA_LONG, 2, (long) columns * Short.BYTES);
    scratch.setAtIndex(ValueLayout.JAVA_LONG, 3, box | (long) box << Integer.SIZE);
    scratch.setAtIndex(ValueLayout.JAVA_LONG, 4, 1 | 1L << Integer.SIZE);
    long at = scratch.address();
    calls.run(
        "cuTensorMapEncodeTiled",
        () ->
            (int)
                tensorMapEncodeTiled.invokeExact(
                    map.address(),
                    TENSOR_BF16,
                    2,
                    address,
                    at,
                    at + 2 * Long.BYTES,
                    at + 3 * Long.BYTES,
                    at + 4 * Long.BYTES,
                    0,
                    SWIZZLE_128_BYTES,
                    PROMOTE_256_BYTES,
                    0));
  }

  /** Bytes of the current context's GPU that nobody holds. */
  public long freeMemory() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment total = arena.allocate(ValueLayout.JAVA_LONG);
      return calls.longOf(
          "cuMemGetInfo", result -> (int) memGetInfo.invokeExact(result, total.address()));
    }
  }

  /** Memory of the host that GPUs copy from and to at full speed: it is pinned. */
  public MemorySegment allocateHost(long bytes) {
    long address =
        calls.longOf(
            "cuMemHostAlloc",
            result -> (int) memHostAlloc.invokeExact(result, bytes, HOST_PORTABLE));
    pinnedBytes.addAndGet(bytes);
    return MemorySegment.ofAddress(address).reinterpret(bytes);
  }

  /** Frees memory from {@link #allocateHost}. */
  public void freeHost(MemorySegment memory) {
    calls.run("cuMemFreeHost", () -> (int) memFreeHost.invokeExact(memory.address()));
    pinnedBytes.addAndGet(-memory.byteSize());
  }

  /** Bytes of the host that are pinned now, for all GPUs of this process. */
  public long pinnedBytes() {
    return pinnedBytes.get();
  }

  /** Copies from the host. From memory that is not pinned it returns once that may be reused. */
  public void copyToDevice(long to, long from, long bytes, long stream) {
    calls.run(
        "cuMemcpyHtoDAsync", () -> (int) memcpyHtoDAsync.invokeExact(to, from, bytes, stream));
  }

  /** Copies to the host. */
  public void copyToHost(long to, long from, long bytes, long stream) {
    calls.run(
        "cuMemcpyDtoHAsync", () -> (int) memcpyDtoHAsync.invokeExact(to, from, bytes, stream));
  }

  /** Copies within a GPU. */
  public void copy(long to, long from, long bytes, long stream) {
    calls.run(
        "cuMemcpyDtoDAsync", () -> (int) memcpyDtoDAsync.invokeExact(to, from, bytes, stream));
  }

  /** Copies from one GPU to another. */
  public void copyPeer(
      long to, long toContext, long from, long fromContext, long bytes, long stream) {
    calls.run(
        "cuMemcpyPeerAsync",
        () -> (int) memcpyPeerAsync.invokeExact(to, toContext, from, fromContext, bytes, stream));
  }

  /** Sets every byte of memory to {@code value}. */
  public void fillBytes(long address, int value, long bytes, long stream) {
    calls.run(
        "cuMemsetD8Async", () -> (int) memsetD8Async.invokeExact(address, value, bytes, stream));
  }

  /** Loads compiled code into the current context. */
  public long loadModule(byte[] code) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment image = arena.allocateFrom(ValueLayout.JAVA_BYTE, code);
      return calls.longOf(
          "cuModuleLoadData", result -> (int) moduleLoadData.invokeExact(result, image.address()));
    }
  }

  /** A kernel of a module. */
  public long function(long module, String name) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment text = arena.allocateFrom(name);
      return calls.longOf(
          "cuModuleGetFunction (" + name + ")",
          result -> (int) moduleGetFunction.invokeExact(result, module, text.address()));
    }
  }

  /** Unloads a module. */
  public void unloadModule(long module) {
    calls.run("cuModuleUnload", () -> (int) moduleUnload.invokeExact(module));
  }

  /** Lets blocks of a kernel have this much dynamic shared memory. */
  public void allowSharedMemory(long function, int bytes) {
    calls.run(
        "cuFuncSetAttribute",
        () -> (int) funcSetAttribute.invokeExact(function, FUNCTION_MAX_DYNAMIC_SHARED, bytes));
  }

  /**
   * Queues a kernel.
   *
   * @param name what a failure calls it
   * @param block threads of a block
   * @param parameters address of the addresses of its arguments
   * @param early whether its blocks may be placed before the kernel that it comes after in the
   *     stream has ended: it has to wait for that itself, {@code griddepcontrol.wait}
   * @param scratch {@link #LAUNCH_SCRATCH_BYTES}, for this call
   */
  public void launch(
      String name,
      long function,
      int gridX,
      int gridY,
      int block,
      int sharedBytes,
      long stream,
      long parameters,
      boolean early,
      MemorySegment scratch) {
    // CUlaunchConfig, and one CUlaunchAttribute behind it.
    scratch.set(ValueLayout.JAVA_INT, 0, gridX);
    scratch.set(ValueLayout.JAVA_INT, 4, gridY);
    scratch.set(ValueLayout.JAVA_INT, 8, 1);
    scratch.set(ValueLayout.JAVA_INT, 12, block);
    scratch.set(ValueLayout.JAVA_INT, 16, 1);
    scratch.set(ValueLayout.JAVA_INT, 20, 1);
    scratch.set(ValueLayout.JAVA_INT, 24, sharedBytes);
    scratch.set(ValueLayout.JAVA_LONG, 32, stream);
    scratch.set(ValueLayout.JAVA_LONG, 40, scratch.address() + LAUNCH_CONFIG_BYTES);
    scratch.set(ValueLayout.JAVA_INT, 48, early ? 1 : 0);
    scratch.set(ValueLayout.JAVA_INT, LAUNCH_CONFIG_BYTES, PROGRAMMATIC_STREAM_SERIALIZATION);
    scratch.set(ValueLayout.JAVA_INT, LAUNCH_CONFIG_BYTES + 8, 1);
    calls.run(
        name, () -> (int) launchKernel.invokeExact(scratch.address(), function, parameters, 0L));
  }
}
