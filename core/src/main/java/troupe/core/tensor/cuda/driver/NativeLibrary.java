package troupe.core.tensor.cuda.driver;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;

/** A shared library. It stays loaded until the process ends: kernels of it may be running. */
final class NativeLibrary implements Functions {
  static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;
  static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG;

  private final String name;
  private final SymbolLookup symbols;

  private NativeLibrary(String name, SymbolLookup symbols) {
    this.name = name;
    this.symbols = symbols;
  }

  /**
   * Loads the library of a file, or by its name alone from where the system looks.
   *
   * @throws IllegalArgumentException if it cannot be loaded
   */
  static NativeLibrary load(Path file) {
    boolean isName = file.getNameCount() == 1 && !file.isAbsolute();
    SymbolLookup symbols =
        isName
            ? SymbolLookup.libraryLookup(file.toString(), Arena.global())
            : SymbolLookup.libraryLookup(file, Arena.global());
    return new NativeLibrary(file.getFileName().toString(), symbols);
  }

  @Override
  public MethodHandle function(String function, MemoryLayout... arguments) {
    return Linker.nativeLinker()
        .downcallHandle(
            symbols
                .find(function)
                .orElseThrow(() -> new CudaException(name + ": no function " + function, -1)),
            FunctionDescriptor.of(INT, arguments));
  }
}
