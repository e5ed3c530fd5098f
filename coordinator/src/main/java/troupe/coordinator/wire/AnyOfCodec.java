package troupe.coordinator.wire;

import com.esotericsoftware.kryo.Kryo;
import com.esotericsoftware.kryo.Registration;
import com.esotericsoftware.kryo.Serializer;
import com.esotericsoftware.kryo.io.Input;
import com.esotericsoftware.kryo.io.Output;

/**
 * One of the types of a sealed interface: its number, then itself. Numbers alone are read, never
 * names of classes, so no message can make a class load.
 */
final class AnyOfCodec extends Serializer<Object> {
  private final Class<?> expected;

  AnyOfCodec(Class<?> expected) {
    super(false, true);
    this.expected = expected;
  }

  @Override
  public void write(Kryo kryo, Output output, Object value) {
    Registration registration = kryo.getClassResolver().getRegistration(value.getClass());
    if (registration == null) {
      throw WireFormat.unregistered(value.getClass());
    }
    output.writeVarInt(registration.getId(), true);
    serializer(registration).write(kryo, output, value);
  }

  @Override
  public Object read(Kryo kryo, Input input, Class<?> type) {
    int id = input.readVarInt(true);
    Registration registration = kryo.getRegistration(id);
    if (registration == null || !expected.isAssignableFrom(registration.getType())) {
      throw RefusedException.malformed(
          "type " + id + (registration == null ? "" : " " + registration.getType().getSimpleName()),
          "a " + WireType.nameOf(expected));
    }
    return serializer(registration).read(kryo, input, registration.getType());
  }

  @SuppressWarnings("unchecked")
  private static Serializer<Object> serializer(Registration registration) {
    return registration.getSerializer();
  }
}
