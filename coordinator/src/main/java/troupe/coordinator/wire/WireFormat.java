package troupe.coordinator.wire;

import akka.actor.typed.ActorRefResolver;
import com.esotericsoftware.kryo.Kryo;
import com.esotericsoftware.kryo.Serializer;
import com.esotericsoftware.kryo.io.Input;
import com.esotericsoftware.kryo.io.Output;
import com.esotericsoftware.kryo.util.Pool;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/**
 * Messages to bytes and back. The manifest is {@code NUMBER@FINGERPRINT}; the bytes are
 *
 * <pre>
 *   +----------------------------+-----------+
 *   | components of the record   | CRC-32C   |
 *   +----------------------------+-----------+
 * </pre>
 *
 * Safe for any number of threads. Everything that is wrong with a message ends in a {@link
 * RefusedException}, and no message makes more than a few dozen times its own bytes be allocated.
 */
public final class WireFormat {
  /** More than threads that serialize at once; a Kryo takes some tens of microseconds to make. */
  private static final int POOL_SIZE = 64;

  private final Map<Class<?>, Entry> byClass = new HashMap<>();
  private final Map<Integer, Entry> byId = new HashMap<>();
  private final String fingerprint = WireTypes.fingerprint();
  private final WireLimits limits;
  private final Pool<Scribe> scribes;

  private record Entry(WireType wire, Serializer<Object> codec, String manifest) {}

  /**
   * A format.
   *
   * @param refs turns references to actors into text and back
   */
  WireFormat(Collection<WireType> types, ActorRefResolver refs, WireLimits limits) {
    this.limits = limits;
    Codecs codecs = new Codecs(types, new ActorRefCodec(refs));
    for (WireType wire : types) {
      Entry entry = new Entry(wire, codecs.of(wire), wire.id() + "@" + fingerprint);
      if (byClass.put(wire.type(), entry) != null || byId.put(wire.id(), entry) != null) {
        throw new IllegalArgumentException(
            "type: " + wire.id() + " " + wire.name() + " (expected: named once)");
      }
    }
    scribes =
        new Pool<>(true, false, POOL_SIZE) {
          @Override
          protected Scribe create() {
            return new Scribe(newKryo());
          }
        };
  }

  /** The format of nodes without an actor system: for measuring messages without references. */
  public static WireFormat withoutActors(WireLimits limits) {
    return new WireFormat(WireTypes.ALL, null, limits);
  }

  private Kryo newKryo() {
    Kryo kryo = new Kryo();
    kryo.setRegistrationRequired(true);
    kryo.setReferences(false);
    byId.forEach((id, entry) -> kryo.register(entry.wire.type(), entry.codec, id));
    return kryo;
  }

  /** The manifest of a message. */
  public String manifest(Object message) {
    return entryOf(message).manifest;
  }

  /** The bytes of a message. */
  public byte[] write(Object message) {
    return write(message, Output::toBytes);
  }

  /**
   * Hands over the bytes of a message in memory that is only valid meanwhile.
   *
   * @throws RefusedException if it is not a registered message or larger than the limit
   */
  <R> R write(Object message, Function<Output, R> consumer) {
    Entry entry = entryOf(message);
    Scribe scribe = scribes.obtain();
    try {
      Output output = scribe.output();
      entry.codec.write(scribe.kryo, output, message);
      int length = output.position();
      output.writeInt(scribe.checksum(entry.wire.id(), output.getBuffer(), length));
      limits.check(entry.wire.name(), output.position());
      return consumer.apply(output);
    } catch (RefusedException e) {
      throw e;
    } catch (RuntimeException e) {
      throw RefusedException.of(
              e.toString(), "what its type declares", "this is a mistake of the program")
          .about(entry.wire.name());
    } finally {
      scribe.reset();
      scribes.free(scribe);
    }
  }

  /**
   * The message that bytes stand for.
   *
   * @param bytes the message; may be longer
   * @param length its length
   * @throws RefusedException if they stand for none
   */
  public Object read(String manifest, byte[] bytes, int length) {
    Entry entry = entryOf(manifest);
    String name = entry.wire.name();
    limits.check(name, length);
    Scribe scribe = scribes.obtain();
    try {
      return read(entry, scribe, bytes, length);
    } catch (RefusedException e) {
      throw e.about(name + " of " + length + " bytes");
    } catch (RuntimeException e) {
      throw RefusedException.malformed(name + " of " + length + " bytes: " + e, "a whole message");
    } finally {
      scribe.reset();
      scribes.free(scribe);
    }
  }

  private static Object read(Entry entry, Scribe scribe, byte[] bytes, int length) {
    int end = length - Scribe.CHECKSUM_BYTES;
    if (end < 0) {
      throw RefusedException.malformed("no checksum", "at least " + Scribe.CHECKSUM_BYTES);
    }
    Input input = scribe.input(bytes, length);
    input.setPosition(end);
    if (input.readInt() != scribe.checksum(entry.wire.id(), bytes, end)) {
      throw RefusedException.malformed("wrong checksum", "that of its bytes");
    }
    input.setPosition(0);
    input.setLimit(end);
    Object message = entry.codec.read(scribe.kryo, input, Object.class);
    if (input.position() != end) {
      throw RefusedException.malformed(
          Bounds.remaining(input) + " bytes after the end of the message", "none");
    }
    return message;
  }

  private Entry entryOf(Object message) {
    Entry entry = byClass.get(message.getClass());
    if (entry == null || !entry.wire.isMessage()) {
      throw unregistered(message.getClass());
    }
    return entry;
  }

  private Entry entryOf(String manifest) {
    int at = manifest.indexOf('@');
    if (at < 1 || !manifest.substring(at + 1).equals(fingerprint)) {
      throw RefusedException.of(
          "manifest " + manifest,
          "NUMBER@" + fingerprint,
          "the sender runs another build: start all nodes from the same one");
    }
    try {
      Entry entry = byId.get(Integer.parseInt(manifest, 0, at, 10));
      if (entry != null && entry.wire.isMessage()) {
        return entry;
      }
    } catch (NumberFormatException e) {
      // Refused below, like any other number that stands for nothing.
    }
    throw RefusedException.malformed("manifest " + manifest, "the number of a message");
  }

  static RefusedException unregistered(Class<?> type) {
    String name = WireType.nameOf(type);
    return WireTypes.LOCAL_ONLY.contains(type)
        ? RefusedException.of(
            name, "a type that travels", "it holds tensors or code: use it within a node")
        : RefusedException.of(name, "a message of WireTypes", "add it there if it has to travel");
  }

  /** All types, for tests. */
  List<WireType> types() {
    return byId.values().stream().map(Entry::wire).toList();
  }
}
