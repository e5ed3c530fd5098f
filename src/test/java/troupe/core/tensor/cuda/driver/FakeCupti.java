package troupe.core.tensor.cuda.driver;

import static troupe.core.tensor.cuda.driver.NativeLibrary.INT;
import static troupe.core.tensor.cuda.driver.NativeLibrary.LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/**
 * CUPTI without a GPU: it asks for memory and hands it back through the addresses that it is given,
 * as native code does. Its clock goes on by one each time it is looked at.
 */
public final class FakeCupti extends FakeFunctions {
  private static final int NO_MORE_RECORDS = 12;

  private final Arena arena = Arena.ofAuto();
  private final List<Long> written = new ArrayList<>();
  private final Set<Integer> enabled = new TreeSet<>();
  private MethodHandle requested;
  private MethodHandle completed;
  private long nowNs;
  private long dropped;
  private int refusedKind;
  private int refusal;

  /** The library. */
  public Cupti cupti() {
    return new Cupti(this);
  }

  /** A kernel ends now that began some time ago. */
  public void ran(String kernel, int device, int stream, long startNs, long endNs) {
    written.add(HandMadeRecords.kernel(arena, kernel, device, stream, startNs, endNs - startNs));
  }

  /** Has it be so late. */
  public void setNowNs(long ns) {
    nowNs = ns;
  }

  /** Has it lose activities. */
  public void drop(long count) {
    dropped += count;
  }

  /** Has it refuse to record a kind of activity. */
  public void refuse(int kind, int status) {
    refusedKind = kind;
    refusal = status;
  }

  /** The kinds of activities that are recorded. */
  public Set<Integer> enabled() {
    return Set.copyOf(enabled);
  }

  /** Asks for memory so often, without giving any back, and counts what it gets. */
  public int takeBuffers(int times) {
    int got = 0;
    for (int i = 0; i < times; i++) {
      got += request() == 0 ? 0 : 1;
    }
    return got;
  }

  /** Hands memory back that holds all that ran. */
  public void deliver() {
    long buffer = request();
    try {
      completed.invokeExact(0L, 0, buffer, 4L << 20, (long) written.size());
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }

  private long request() {
    MemorySegment places = arena.allocate(ValueLayout.JAVA_LONG, 3);
    places.fill((byte) -1);
    try {
      requested.invokeExact(places.address(), places.address() + 8, places.address() + 16);
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
    return places.get(ValueLayout.JAVA_LONG, 0);
  }

  @Override
  int call(String name, Object[] arguments) {
    switch (name) {
      case "cuptiGetResultString" ->
          write(arguments[1], arena.allocateFrom("CUPTI_ERROR_" + arguments[0]).address());
      case "cuptiGetTimestamp" -> write(arguments[0], nowNs++);
      case "cuptiActivityRegisterCallbacks" -> {
        requested = callback((long) arguments[0], LONG, LONG, LONG);
        completed = callback((long) arguments[1], LONG, INT, LONG, LONG, LONG);
      }
      case "cuptiActivityEnable" -> {
        if (refusal != 0 && (int) arguments[0] == refusedKind) {
          return refusal;
        }
        enabled.add((int) arguments[0]);
      }
      case "cuptiActivityDisable" -> enabled.remove((int) arguments[0]);
      case "cuptiActivityFlushAll" -> {
        deliver();
        written.clear();
      }
      case "cuptiActivityGetNextRecord" -> {
        return next((long) arguments[1], arguments[2]);
      }
      case "cuptiActivityGetNumDroppedRecords" -> {
        write(arguments[2], dropped);
        dropped = 0;
      }
      default -> throw new AssertionError(name);
    }
    return 0;
  }

  private int next(long count, Object place) {
    int index = written.indexOf(read(place)) + 1;
    if (index == count) {
      return NO_MORE_RECORDS;
    }
    write(place, written.get(index));
    return 0;
  }

  private static MethodHandle callback(long address, MemoryLayout... arguments) {
    return Linker.nativeLinker()
        .downcallHandle(MemorySegment.ofAddress(address), FunctionDescriptor.ofVoid(arguments));
  }

  private static long read(Object address) {
    return MemorySegment.ofAddress((long) address)
        .reinterpret(Long.BYTES)
        .get(ValueLayout.JAVA_LONG, 0);
  }

  private static void write(Object address, long value) {
    MemorySegment.ofAddress((long) address)
        .reinterpret(Long.BYTES)
        .set(ValueLayout.JAVA_LONG, 0, value);
  }
}
