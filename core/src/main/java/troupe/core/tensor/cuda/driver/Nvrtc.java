package troupe.core.tensor.cuda.driver;

import static troupe.core.tensor.cuda.driver.NativeLibrary.INT;
import static troupe.core.tensor.cuda.driver.NativeLibrary.LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.List;

/** The run-time compiler of CUDA C++. Safe to use from several threads. */
public final class Nvrtc {
  private static final Calls CALLS = new Calls(status -> "status " + status);

  private final MethodHandle version;
  private final MethodHandle createProgram;
  private final MethodHandle compileProgram;
  private final MethodHandle destroyProgram;
  private final MethodHandle getCubinSize;
  private final MethodHandle getCubin;
  private final MethodHandle getLogSize;
  private final MethodHandle getLog;

  /**
   * What became of a source.
   *
   * @param code machine code
   * @param messages the compiler's remarks, such as those on speed; empty if it has none
   */
  public record Compiled(byte[] code, String messages) {}

  Nvrtc(Functions library) {
    version = library.function("nvrtcVersion", LONG, LONG);
    createProgram = library.function("nvrtcCreateProgram", LONG, LONG, LONG, INT, LONG, LONG);
    compileProgram = library.function("nvrtcCompileProgram", LONG, INT, LONG);
    destroyProgram = library.function("nvrtcDestroyProgram", LONG);
    getCubinSize = library.function("nvrtcGetCUBINSize", LONG, LONG);
    getCubin = library.function("nvrtcGetCUBIN", LONG, LONG);
    getLogSize = library.function("nvrtcGetProgramLogSize", LONG, LONG);
    getLog = library.function("nvrtcGetProgramLog", LONG, LONG);
  }

  /** The version, such as {@code 13.0}. */
  public String version() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment major = arena.allocate(ValueLayout.JAVA_INT);
      MemorySegment minor = arena.allocate(ValueLayout.JAVA_INT);
      CALLS.run("nvrtcVersion", () -> (int) version.invokeExact(major.address(), minor.address()));
      return major.get(ValueLayout.JAVA_INT, 0) + "." + minor.get(ValueLayout.JAVA_INT, 0);
    }
  }

  /**
   * Compiles to machine code.
   *
   * @param name what messages call the source
   * @param options as on the command line of {@code nvcc}; {@code --gpu-architecture=sm_90a} is one
   * @throws CudaException with the compiler's messages
   */
  public Compiled compile(String name, String source, List<String> options) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment place = arena.allocate(ValueLayout.JAVA_LONG);
      MemorySegment text = arena.allocateFrom(source);
      MemorySegment title = arena.allocateFrom(name);
      CALLS.run(
          "nvrtcCreateProgram",
          () ->
              (int)
                  createProgram.invokeExact(
                      place.address(), text.address(), title.address(), 0, 0L, 0L));
      long program = place.get(ValueLayout.JAVA_LONG, 0);
      try {
        MemorySegment texts = arena.allocate(ValueLayout.JAVA_LONG, options.size());
        for (int i = 0; i < options.size(); i++) {
          texts.setAtIndex(ValueLayout.JAVA_LONG, i, arena.allocateFrom(options.get(i)).address());
        }
        int status =
            Calls.status(
                () -> (int) compileProgram.invokeExact(program, options.size(), texts.address()));
        if (status != 0) {
          throw new CudaException(
              name + " does not compile with " + options + ":\n" + log(arena, program), status);
        }
        CALLS.run(
            "nvrtcGetCUBINSize", () -> (int) getCubinSize.invokeExact(program, place.address()));
        MemorySegment code = arena.allocate(place.get(ValueLayout.JAVA_LONG, 0));
        CALLS.run("nvrtcGetCUBIN", () -> (int) getCubin.invokeExact(program, code.address()));
        return new Compiled(code.toArray(ValueLayout.JAVA_BYTE), log(arena, program).strip());
      } finally {
        place.set(ValueLayout.JAVA_LONG, 0, program);
        CALLS.run("nvrtcDestroyProgram", () -> (int) destroyProgram.invokeExact(place.address()));
      }
    }
  }

  private String log(Arena arena, long program) {
    MemorySegment size = arena.allocate(ValueLayout.JAVA_LONG);
    CALLS.run(
        "nvrtcGetProgramLogSize", () -> (int) getLogSize.invokeExact(program, size.address()));
    MemorySegment text = arena.allocate(size.get(ValueLayout.JAVA_LONG, 0) + 1);
    CALLS.run("nvrtcGetProgramLog", () -> (int) getLog.invokeExact(program, text.address()));
    return text.getString(0);
  }
}
