package troupe.core.tensor.cuda.driver;

import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.util.Arrays;

/** Functions of a library that is not there: all of them are one method, which is told the name. */
abstract class FakeFunctions implements Functions {
  private static final MethodHandle CALL;

  static {
    try {
      CALL =
          MethodHandles.lookup()
              .findVirtual(
                  FakeFunctions.class,
                  "call",
                  MethodType.methodType(int.class, String.class, Object[].class));
    } catch (ReflectiveOperationException e) {
      throw new ExceptionInInitializerError(e);
    }
  }

  /** Does what a function does, and returns its status. */
  abstract int call(String name, Object[] arguments);

  /** A structure is passed as memory. */
  private static Class<?> type(MemoryLayout argument) {
    return argument instanceof ValueLayout value ? value.carrier() : MemorySegment.class;
  }

  @Override
  public MethodHandle function(String name, MemoryLayout... arguments) {
    Class<?>[] types = Arrays.stream(arguments).map(FakeFunctions::type).toArray(Class<?>[]::new);
    return MethodHandles.insertArguments(CALL, 0, this, name)
        .asCollector(Object[].class, types.length)
        .asType(MethodType.methodType(int.class, types));
  }
}
