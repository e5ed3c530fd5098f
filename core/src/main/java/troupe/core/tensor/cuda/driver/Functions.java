package troupe.core.tensor.cuda.driver;

import java.lang.foreign.MemoryLayout;
import java.lang.invoke.MethodHandle;

/**
 * Where the functions of a library come from. Each returns an {@code int} status; pointers and
 * handles are passed as {@code long}.
 */
@FunctionalInterface
interface Functions {
  /** A function that takes these arguments and returns a status. */
  MethodHandle function(String name, MemoryLayout... arguments);
}
