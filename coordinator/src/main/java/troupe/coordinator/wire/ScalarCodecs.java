package troupe.coordinator.wire;

import com.esotericsoftware.kryo.Kryo;
import com.esotericsoftware.kryo.Serializer;
import com.esotericsoftware.kryo.io.Input;
import com.esotericsoftware.kryo.io.Output;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.function.BiConsumer;
import java.util.function.Function;

/**
 * Numbers, strings, durations and arrays. Integers take as few bytes as they need, negative ones
 * most.
 */
final class ScalarCodecs {
  static final Map<Class<?>, Serializer<?>> ALL = all();

  private ScalarCodecs() {}

  private static Map<Class<?>, Serializer<?>> all() {
    Map<Class<?>, Serializer<?>> codecs = new HashMap<>();
    put(codecs, Boolean.class, Output::writeBoolean, ScalarCodecs::readBoolean);
    put(codecs, Integer.class, (out, v) -> out.writeVarInt(v, true), in -> in.readVarInt(true));
    put(codecs, Long.class, (out, v) -> out.writeVarLong(v, true), in -> in.readVarLong(true));
    put(codecs, Double.class, Output::writeDouble, Input::readDouble);
    put(codecs, String.class, ScalarCodecs::writeString, ScalarCodecs::readString);
    put(codecs, Duration.class, ScalarCodecs::writeDuration, ScalarCodecs::readDuration);
    put(codecs, int[].class, ScalarCodecs::writeInts, ScalarCodecs::readInts);
    put(codecs, long[].class, ScalarCodecs::writeLongs, ScalarCodecs::readLongs);
    put(codecs, double[].class, ScalarCodecs::writeDoubles, ScalarCodecs::readDoubles);
    codecs.put(boolean.class, codecs.get(Boolean.class));
    codecs.put(int.class, codecs.get(Integer.class));
    codecs.put(long.class, codecs.get(Long.class));
    codecs.put(double.class, codecs.get(Double.class));
    return Map.copyOf(codecs);
  }

  private static <T> void put(
      Map<Class<?>, Serializer<?>> codecs,
      Class<T> type,
      BiConsumer<Output, T> write,
      Function<Input, T> read) {
    codecs.put(type, new Scalar<>(write, read));
  }

  private static boolean readBoolean(Input input) {
    int code = input.readByte();
    if (code != 0 && code != 1) {
      throw RefusedException.malformed("boolean " + code, "0 or 1");
    }
    return code == 1;
  }

  /** Kryo's own would allocate whatever length a message claims. Length 0 is null. */
  private static void writeString(Output output, String value) {
    if (value == null) {
      output.writeVarInt(0, true);
      return;
    }
    byte[] bytes = value.getBytes(StandardCharsets.UTF_8);
    output.writeVarInt(bytes.length + 1, true);
    output.writeBytes(bytes);
  }

  private static String readString(Input input) {
    int code = input.readVarInt(true);
    return code == 0
        ? null
        : new String(
            input.readBytes(Bounds.check(code - 1, input, Byte.BYTES)), StandardCharsets.UTF_8);
  }

  private static void writeDuration(Output output, Duration value) {
    output.writeVarLong(value.getSeconds(), true);
    output.writeVarInt(value.getNano(), true);
  }

  private static Duration readDuration(Input input) {
    return Duration.ofSeconds(input.readVarLong(true), input.readVarInt(true));
  }

  private static void writeInts(Output output, int[] values) {
    output.writeVarInt(values.length, true);
    output.writeInts(values, 0, values.length, true);
  }

  private static int[] readInts(Input input) {
    return input.readInts(Bounds.readCount(input, 1), true);
  }

  private static void writeLongs(Output output, long[] values) {
    output.writeVarInt(values.length, true);
    output.writeLongs(values, 0, values.length, true);
  }

  private static long[] readLongs(Input input) {
    return input.readLongs(Bounds.readCount(input, 1), true);
  }

  private static void writeDoubles(Output output, double[] values) {
    output.writeVarInt(values.length, true);
    output.writeDoubles(values, 0, values.length);
  }

  private static double[] readDoubles(Input input) {
    return input.readDoubles(Bounds.readCount(input, Double.BYTES));
  }

  private static final class Scalar<T> extends Serializer<T> {
    private final BiConsumer<Output, T> write;
    private final Function<Input, T> read;

    Scalar(BiConsumer<Output, T> write, Function<Input, T> read) {
      super(true, true);
      this.write = write;
      this.read = read;
    }

    @Override
    public void write(Kryo kryo, Output output, T value) {
      write.accept(output, value);
    }

    @Override
    public T read(Kryo kryo, Input input, Class<? extends T> type) {
      return read.apply(input);
    }
  }
}
