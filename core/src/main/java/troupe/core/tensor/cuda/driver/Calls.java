package troupe.core.tensor.cuda.driver;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.function.IntFunction;

/** Calls of a library whose status is looked at: whatever is not zero is thrown. */
final class Calls {
  private final IntFunction<String> words;

  /**
   * Calls of one library.
   *
   * @param words what the library says of a status
   */
  Calls(IntFunction<String> words) {
    this.words = words;
  }

  /** A call that returns a status. */
  @FunctionalInterface
  interface Call {
    int status() throws Throwable;
  }

  /** A call that writes its result to an address and returns a status. */
  @FunctionalInterface
  interface WithResult {
    int status(long result) throws Throwable;
  }

  /**
   * Makes a call.
   *
   * @param name what a failure calls it
   */
  void run(String name, Call call) {
    check(name, status(call));
  }

  /** Makes a call that some statuses of are no failure: the caller looks at it. */
  static int status(Call call) {
    try {
      return call.status();
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      // A foreign call throws nothing that is checked.
      throw new IllegalStateException(e);
    }
  }

  /** Throws what a status says, unless it is zero. */
  void check(String name, int status) {
    if (status != 0) {
      throw new CudaException(name + ": " + words.apply(status), status);
    }
  }

  /** A handle, an address or a number of eight bytes. */
  long longOf(String name, WithResult call) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment result = arena.allocate(ValueLayout.JAVA_LONG);
      run(name, () -> call.status(result.address()));
      return result.get(ValueLayout.JAVA_LONG, 0);
    }
  }

  /** A number of four bytes. */
  int intOf(String name, WithResult call) {
    // The library writes four bytes; the other four are zero, and memory is little-endian.
    return (int) longOf(name, call);
  }
}
