package troupe.transport;

import static java.nio.charset.StandardCharsets.US_ASCII;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What must hold on this machine before a driver is started; each failure names its fix. */
final class Preflight {
  private static final Logger LOG = LoggerFactory.getLogger(Preflight.class);
  private static final Path MAX_RECEIVE_BUFFER = Path.of("/proc/sys/net/core/rmem_max");
  private static final Path MAX_SEND_BUFFER = Path.of("/proc/sys/net/core/wmem_max");

  /** Counters, error log and command buffers of a driver, rounded up. */
  private static final long DRIVER_BYTES = 16L << 20;

  private Preflight() {}

  /**
   * A driver and the streams of one node: publications, and on UDP the images of them at the
   * receiver.
   */
  static long neededBytes(TransportSettings settings) {
    return DRIVER_BYTES + neededBytes(settings, settings.hasUdp() ? Way.UDP : Way.IPC);
  }

  /**
   * What another node costs here: on UDP the publications to it and the images of its own, in
   * shared memory the publications that it makes in this driver.
   */
  static long neededBytes(TransportSettings settings, Way way) {
    return 3L * settings.threads().count() * settings.strandTermBytes() * (way == Way.UDP ? 2 : 1);
  }

  /**
   * Checks that the memory of the driver, or of more nodes, fits.
   *
   * @throws IllegalStateException if it does not; writing into full shared memory would kill the
   *     JVM
   */
  static void checkSpace(Path parent, long needed, long usableBytes) {
    if (usableBytes < needed) {
      throw new IllegalStateException(
          """
          free bytes in %s: %d (expected: >= %d)
          HINT: lower transport.term_bytes, set transport.directory to a folder with room, \
          or enlarge it (mount -o remount,size=1g /dev/shm; docker run --shm-size=1g)"""
              .formatted(parent, usableBytes, needed));
    }
  }

  /** The free bytes of a folder. */
  static long usableBytes(Path parent) {
    try {
      return Files.getFileStore(parent).getUsableSpace();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * The settings with the window that the kernel's limit on receive buffers allows; says so if that
   * is less.
   */
  static TransportSettings fitWindow(TransportSettings settings, int maxReceiveBufferBytes) {
    if (!settings.hasUdp() || settings.driver().windowBytes() <= maxReceiveBufferBytes) {
      return settings;
    }
    String hint = "HINT: sysctl -w net.core.rmem_max=" + settings.driver().windowBytes();
    if (maxReceiveBufferBytes < settings.driver().mtuBytes()) {
      throw new IllegalStateException(
          "net.core.rmem_max: %d (expected: >= transport.mtu_bytes, %d)%n%s"
              .formatted(maxReceiveBufferBytes, settings.driver().mtuBytes(), hint));
    }
    LOG.warn(
        "net.core.rmem_max: {} (expected: >= {}): UDP will be slower. {}",
        maxReceiveBufferBytes,
        settings.driver().windowBytes(),
        hint);
    return settings.withWindow(maxReceiveBufferBytes);
  }

  /** The largest receive buffer that a process may ask for. */
  static int maxReceiveBufferBytes() {
    return limit(MAX_RECEIVE_BUFFER);
  }

  /** The largest send buffer that a process may ask for. */
  static int maxSendBufferBytes() {
    return limit(MAX_SEND_BUFFER);
  }

  private static int limit(Path file) {
    // In one read: these files end after the first, and Files.readString asks for a single byte
    // then.
    try (InputStream in = Files.newInputStream(file)) {
      byte[] digits = new byte[32];
      int length = Math.max(0, in.read(digits));
      return Integer.parseInt(new String(digits, 0, length, US_ASCII).strip());
    } catch (IOException | NumberFormatException e) {
      return Integer.MAX_VALUE; // Not Linux, or hidden from this container: the driver will say.
    }
  }
}
