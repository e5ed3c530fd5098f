package troupe.coordinator.wire;

import com.esotericsoftware.kryo.Kryo;
import com.esotericsoftware.kryo.Serializer;
import com.esotericsoftware.kryo.io.Input;
import com.esotericsoftware.kryo.io.Output;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.lang.reflect.Constructor;
import java.lang.reflect.Method;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.util.Arrays;
import java.util.function.Function;

/** The components of a record in order, each as its declared type says; no names, no tags. */
final class RecordCodec extends Serializer<Object> {
  private final String name;
  private final Component[] components;
  private final MethodHandle constructor;

  private record Component(
      String name, boolean nullable, boolean tagged, Serializer<Object> codec, MethodHandle get) {}

  /**
   * @param codecOf the codec of a declared type
   */
  RecordCodec(WireType wire, Function<Type, Serializer<Object>> codecOf) {
    super(false, true);
    name = wire.name();
    RecordComponent[] declared = wire.type().getRecordComponents();
    components = new Component[declared.length];
    for (int i = 0; i < declared.length; i++) {
      RecordComponent component = declared[i];
      boolean isText = component.getType() == String.class;
      boolean isNullable = wire.nullable().contains(component.getName());
      components[i] =
          new Component(
              component.getName(),
              isText || isNullable,
              isNullable && !isText,
              codecOf.apply(component.getGenericType()),
              accessor(component.getAccessor()));
    }
    constructor = canonicalConstructor(wire.type(), declared);
  }

  private static MethodHandle accessor(Method method) {
    try {
      method.setAccessible(true);
      return MethodHandles.lookup()
          .unreflect(method)
          .asType(MethodType.methodType(Object.class, Object.class));
    } catch (IllegalAccessException e) {
      throw new IllegalStateException(e);
    }
  }

  private static MethodHandle canonicalConstructor(Class<?> type, RecordComponent[] declared) {
    Class<?>[] parameters =
        Arrays.stream(declared).map(RecordComponent::getType).toArray(Class<?>[]::new);
    try {
      Constructor<?> constructor = type.getDeclaredConstructor(parameters);
      constructor.setAccessible(true);
      return MethodHandles.lookup()
          .unreflectConstructor(constructor)
          .asSpreader(Object[].class, parameters.length)
          .asType(MethodType.methodType(Object.class, Object[].class));
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(e);
    }
  }

  @Override
  public void write(Kryo kryo, Output output, Object record) {
    for (Component component : components) {
      Object value = get(component, record);
      if (value == null && !component.nullable) {
        throw RefusedException.of(
            name + "." + component.name + ": null", "a value", "nulls are declared in WireTypes");
      }
      if (component.tagged) {
        output.writeBoolean(value != null);
      }
      if (value != null || !component.tagged) {
        component.codec.write(kryo, output, value);
      }
    }
  }

  private static Object get(Component component, Object record) {
    try {
      return (Object) component.get.invokeExact(record);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  @Override
  public Object read(Kryo kryo, Input input, Class<?> type) {
    Object[] values = new Object[components.length];
    for (int i = 0; i < values.length; i++) {
      Component component = components[i];
      if (!component.tagged || input.readBoolean()) {
        values[i] = component.codec.read(kryo, input, Object.class);
      }
    }
    try {
      return (Object) constructor.invokeExact(values);
    } catch (RuntimeException e) {
      throw RefusedException.malformed(
          name + " that its constructor refuses, " + e, "values that it takes");
    } catch (Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }
}
