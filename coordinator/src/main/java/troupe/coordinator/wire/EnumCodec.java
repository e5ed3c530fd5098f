package troupe.coordinator.wire;

import com.esotericsoftware.kryo.Kryo;
import com.esotericsoftware.kryo.Serializer;
import com.esotericsoftware.kryo.io.Input;
import com.esotericsoftware.kryo.io.Output;

/**
 * A constant by its ordinal: nodes whose constants differ have other fingerprints and never get as
 * far as that.
 */
final class EnumCodec extends Serializer<Object> {
  private final Object[] constants;

  EnumCodec(Class<?> type) {
    super(false, true);
    constants = type.getEnumConstants();
  }

  @Override
  public void write(Kryo kryo, Output output, Object value) {
    output.writeVarInt(((Enum<?>) value).ordinal(), true);
  }

  @Override
  public Object read(Kryo kryo, Input input, Class<?> type) {
    int ordinal = input.readVarInt(true);
    if (ordinal < 0 || ordinal >= constants.length) {
      throw RefusedException.malformed(
          "constant " + ordinal + " of " + WireType.nameOf(constants[0].getClass()),
          "0 to " + (constants.length - 1));
    }
    return constants[ordinal];
  }
}
