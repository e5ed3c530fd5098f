package troupe.core.tensor.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentLinkedDeque;
import troupe.core.tensor.cuda.driver.CudaException;
import troupe.core.tensor.cuda.driver.Driver;

/**
 * Queues kernels by name. What a kernel does wrong shows later, in whatever call comes after: so
 * the names of the last ones are kept for the message.
 */
final class Launcher implements AutoCloseable {
  private static final int MOST_ARGUMENTS = 40;
  private static final int REMEMBERED = 8;
  private static final int HOPPER = 90;
  private static final int SHARED_WITHOUT_ASKING = 48 << 10;

  private final Gpu gpu;
  private final GpuTimeline timeline;
  private final Driver driver;
  private final Resources resources = new Resources();
  private final List<Long> modules = new ArrayList<>();
  private final Map<String, Long> functions = new HashMap<>();
  private final Map<String, Integer> allowedShared = new HashMap<>();
  private final Arena arena = Arena.ofShared();
  private final MemorySegment values = arena.allocate(ValueLayout.JAVA_LONG, MOST_ARGUMENTS);
  private final MemorySegment scratch = arena.allocate(Driver.LAUNCH_SCRATCH_BYTES, Long.BYTES);

  /** Whether a kernel is placed while the one before it ends. */
  private final boolean early;

  private final MemorySegment addresses = arena.allocate(ValueLayout.JAVA_LONG, MOST_ARGUMENTS);

  /** Read without the lock: who launches may wait for ever for a GPU that hangs. */
  private final Deque<String> last = new ConcurrentLinkedDeque<>();

  /** Loads compiled code. */
  Launcher(Gpu gpu, GpuTimeline timeline, Iterable<byte[]> code) {
    this.gpu = gpu;
    this.timeline = timeline;
    this.driver = gpu.driver();
    // Kernels wait by themselves, see prelude.cu.
    this.early = gpu.capability() >= HOPPER && !Boolean.getBoolean("troupe.cuda.unoverlapped");
    gpu.enter();
    gpu.explainBy(this::failed);
    resources.onClose(arena::close);
    try {
      code.forEach(this::load);
    } catch (RuntimeException e) {
      resources.closeAfter(e);
      throw e;
    }
  }

  private void load(byte[] code) {
    long module = driver.loadModule(code);
    resources.onClose(() -> driver.unloadModule(module));
    modules.add(module);
  }

  /**
   * Queues a kernel.
   *
   * @param arguments {@link Long} for addresses and 64-bit numbers, {@link Scratch}, {@link
   *     Integer}, {@link Float}, {@link Double}, memory of the host for structures, in the kernel's
   *     order
   */
  void launch(String kernel, Grid grid, Object... arguments) {
    gpu.queue(stream -> launchIn(stream, kernel, grid, arguments));
  }

  /** Queues a kernel in a stream. */
  synchronized void launchIn(long stream, String kernel, Grid grid, Object... arguments) {
    gpu.enter();
    long function = function(kernel);
    if (grid.shared() > SHARED_WITHOUT_ASKING
        && allowedShared.getOrDefault(kernel, 0) < grid.shared()) {
      driver.allowSharedMemory(function, grid.shared());
      allowedShared.put(kernel, grid.shared());
    }
    for (int i = 0; i < arguments.length; i++) {
      long value = values.address() + i * ValueLayout.JAVA_LONG.byteSize();
      addresses.setAtIndex(ValueLayout.JAVA_LONG, i, value);
      switch (arguments[i]) {
        case Long x -> values.setAtIndex(ValueLayout.JAVA_LONG, i, x);
        case Scratch x -> values.setAtIndex(ValueLayout.JAVA_LONG, i, x.address());
        case Integer x -> values.set(ValueLayout.JAVA_INT, 8L * i, x);
        case Float x -> values.set(ValueLayout.JAVA_FLOAT, 8L * i, x);
        case Double x -> values.set(ValueLayout.JAVA_DOUBLE, 8L * i, x);
        case MemorySegment x -> addresses.setAtIndex(ValueLayout.JAVA_LONG, i, x.address());
        default ->
            throw new IllegalArgumentException(
                kernel + ": argument " + i + " is a " + arguments[i].getClass());
      }
    }
    try {
      timeline.time(
          kernel,
          stream,
          () ->
              driver.launch(
                  kernel,
                  function,
                  Math.toIntExact(grid.x()),
                  grid.y(),
                  grid.block(),
                  grid.shared(),
                  stream,
                  addresses.address(),
                  early,
                  scratch));
    } catch (CudaException e) {
      throw failed(e);
    }
    last.add(kernel);
    if (last.size() > REMEMBERED) {
      last.remove();
    }
  }

  private long function(String kernel) {
    Long known = functions.get(kernel);
    if (known != null) {
      return known;
    }
    CudaException none = null;
    for (long module : modules) {
      try {
        long function = driver.function(module, kernel);
        functions.put(kernel, function);
        return function;
      } catch (CudaException e) {
        none = e;
      }
    }
    throw none;
  }

  /** If something that was queued earlier went wrong: says after which kernels it showed. */
  private CudaException failed(CudaException e) {
    if (!e.isLost()) {
      return e;
    }
    String kernels = String.join(", ", last);
    return new CudaException(
            "cuda:"
                + gpu.index()
                + ": "
                + e.getMessage()
                + (kernels.isEmpty()
                    ? "; no kernel was queued"
                    : "; the last kernels queued were " + kernels),
            e.code())
        .withHint("CUDA_LAUNCH_BLOCKING=1 in the environment makes the message name the one");
  }

  @Override
  public void close() {
    gpu.enter();
    resources.close();
  }
}
