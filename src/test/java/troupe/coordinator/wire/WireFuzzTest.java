package troupe.coordinator.wire;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import akka.actor.testkit.typed.javadsl.ActorTestKit;
import akka.actor.typed.ActorRefResolver;
import com.esotericsoftware.kryo.Kryo;
import com.sun.management.ThreadMXBean;
import com.typesafe.config.ConfigFactory;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.ThreadLocalRandom;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import troupe.coordinator.host.Host;

/**
 * Random, cut, spliced and mutated messages, half of them with a checksum that fits. {@code
 * -Dfuzz.seed=N} replays a run.
 */
class WireFuzzTest {
  private static final int PAYLOADS = 100_000;

  /** Objects take more room than their bytes: an entry of two bytes becomes a node of a tree. */
  private static final int ALLOCATED_PER_BYTE = 400;

  /**
   * A line that says why, references to actors, classes that are loaded now. Forged lengths ask for
   * hundreds of times as much.
   */
  private static final long ALLOCATED_ANYWAY = 1 << 20;

  private static final long DEADLINE_NS = 2_000_000_000L;
  private static final ActorTestKit KIT = ActorTestKit.create("fuzz", ConfigFactory.load());

  private final long seed = Long.getLong("fuzz.seed", ThreadLocalRandom.current().nextLong());
  private final SplittableRandom random = new SplittableRandom(seed);
  private final WireLimits limits = WireLimits.of(ConfigFactory.load());
  private final WireFormat format =
      new WireFormat(WireTypes.ALL, ActorRefResolver.get(KIT.system()), limits);
  private final Specimens specimens =
      new Specimens(seed, List.of(KIT.<Host.Command>createTestProbe().getRef()));
  private final List<WireType> messages =
      WireTypes.ALL.stream().filter(WireType::isMessage).toList();
  private final ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
  private final Scribe checksums = new Scribe(new Kryo());

  @AfterAll
  static void shutDown() {
    KIT.shutdownTestKit();
  }

  @Test
  void shouldRefuseOrReadWhateverComes() {
    warmUp();
    int refused = 0;
    int readable = 0;
    int damagedButRead = 0;
    for (int i = 0; i < PAYLOADS; i++) {
      WireType wire = messages.get(random.nextInt(messages.size()));
      byte[] good = payload(specimens.of(wire));
      byte[] bad = random.nextInt(8) == 0 ? noise() : mutate(good);
      boolean isSealed = random.nextBoolean();
      if (isSealed) {
        bad = seal(wire, bad);
      }
      Object message = read(wire, bad);
      if (message == null) {
        refused++;
      } else {
        readable++;
        damagedButRead += isSealed || Arrays.equals(good, bad) ? 0 : 1;
        // What was read is a proper message: it can be sent on.
        byte[] again = payload(message);
        assertEquals(DeepText.of(message), DeepText.of(read(wire, again)), "seed " + seed);
      }
    }
    System.out.printf("seed=%d refused=%d readable=%d%n", seed, refused, readable);
    assertEquals(0, damagedButRead, "seed " + seed);
    assertTrue(refused > PAYLOADS / 2 && readable > PAYLOADS / 50, "seed " + seed);
  }

  @Test
  void shouldRefuseForgedLengthsAtOnce() {
    byte[][] lengths = {
      {-1, -1, -1, -1, 7}, {-1, -1, -1, -1, 15}, {-1, -1, -1, 127}, {-128, -128, -128, -128, 4}
    };
    warmUp();
    for (WireType wire : messages) {
      for (int i = 0; i < 500; i++) {
        byte[] good = payload(specimens.of(wire));
        int end = good.length - Scribe.CHECKSUM_BYTES;
        int at = random.nextInt(end);
        byte[] length = lengths[random.nextInt(lengths.length)];
        byte[] bad = Arrays.copyOf(good, Math.max(good.length, at + length.length + 4));
        System.arraycopy(length, 0, bad, at, length.length);
        read(wire, seal(wire, bad));
      }
    }
  }

  /** Loads classes and fills caches, which is not what is measured. */
  private void warmUp() {
    for (WireType wire : messages) {
      for (int i = 0; i < 20; i++) {
        byte[] bytes = payload(specimens.of(wire));
        format.read(format.manifest(specimens.of(wire)), bytes, bytes.length);
      }
    }
  }

  private byte[] payload(Object message) {
    return format.write(message);
  }

  /** The message or null if it was refused. */
  private Object read(WireType wire, byte[] bytes) {
    String manifest = wire.id() + "@" + WireTypes.fingerprint();
    long thread = Thread.currentThread().threadId();
    long allocated = threads.getThreadAllocatedBytes(thread);
    long begin = System.nanoTime();
    Object message = null;
    try {
      message = format.read(manifest, bytes, bytes.length);
    } catch (RefusedException refused) {
      assertTrue(refused.getMessage().length() < 1_500, refused.getMessage());
    } catch (Throwable other) {
      throw new AssertionError("seed " + seed + " " + wire.name(), other);
    }
    long timeNs = System.nanoTime() - begin;
    long taken = threads.getThreadAllocatedBytes(thread) - allocated;
    long allowed = ALLOCATED_ANYWAY + (long) ALLOCATED_PER_BYTE * bytes.length;
    assertTrue(
        taken <= allowed,
        () -> "seed " + seed + " " + wire.name() + " of " + bytes.length + " allocated " + taken);
    assertTrue(timeNs < DEADLINE_NS, () -> "seed " + seed + " " + wire.name() + " took " + timeNs);
    return message;
  }

  private byte[] noise() {
    byte[] bytes = new byte[random.nextInt(300)];
    random.nextBytes(bytes);
    return bytes;
  }

  private byte[] mutate(byte[] good) {
    byte[] bytes = good.clone();
    for (int i = random.nextInt(1, 6); i > 0 && bytes.length > 0; i--) {
      int at = random.nextInt(bytes.length);
      switch (random.nextInt(6)) {
        case 0 -> bytes[at] ^= (byte) (1 << random.nextInt(8));
        case 1 -> bytes[at] = (byte) random.nextInt();
        case 2 -> bytes[at] = -1;
        case 3 -> bytes = Arrays.copyOf(bytes, at);
        case 4 -> bytes = Arrays.copyOf(bytes, bytes.length + random.nextInt(20));
        default -> {
          int from = random.nextInt(bytes.length);
          int length = Math.min(bytes.length - from, bytes.length - at);
          System.arraycopy(bytes, from, bytes, at, length);
        }
      }
    }
    return bytes;
  }

  /** Ends the bytes with the checksum of those before, as a foreign sender could. */
  private byte[] seal(WireType wire, byte[] bytes) {
    byte[] room = bytes.length < 4 ? new byte[4] : bytes.clone();
    int end = room.length - Scribe.CHECKSUM_BYTES;
    ByteBuffer.wrap(room)
        .order(java.nio.ByteOrder.LITTLE_ENDIAN)
        .putInt(end, checksums.checksum(wire.id(), room, end));
    return room;
  }
}
