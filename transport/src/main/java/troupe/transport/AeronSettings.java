package troupe.transport;

import java.nio.file.Path;
import java.time.Duration;

/**
 * How an {@link AeronTransport} works. {@link #ipc} and {@link #udp} have values that suit one
 * machine.
 *
 * @param runId frames of other runs are dropped
 * @param node this node; its stream is {@link #streamId}
 * @param channel where this node listens, {@code aeron:ipc} or {@code
 *     aeron:udp?endpoint=HOST:PORT}; port 0 is any free one
 * @param directory where the folder of the Aeron driver is made, or {@code null} for /dev/shm if
 *     there is one
 * @param mtuBytes largest packet, a multiple of 32 from 1152 to 65504. On UDP over a real network
 *     at most the MTU of its links less 28; each packet costs a system call, so it decides the
 *     throughput
 * @param termBytes length of a term, a power of two; each stream and side maps three
 * @param windowBytes how much may be on its way on UDP before the receiver has answered
 * @param outbound bounds of what waits to be sent to one node
 * @param inbound bounds of what has begun to arrive
 * @param connectTimeout after that long without a connection, what waits for a node is given back
 *     as undelivered
 * @param maxIdlePark how long an idle thread sleeps at most; bounds the latency added to UDP
 */
public record AeronSettings(
    long runId,
    int node,
    String channel,
    Path directory,
    int mtuBytes,
    int termBytes,
    int windowBytes,
    Outbound outbound,
    Inbound inbound,
    Duration connectTimeout,
    Duration maxIdlePark) {

  private static final int KIB = 1 << 10;
  private static final int MIB = 1 << 20;
  private static final int MAX_MTU_BYTES = 65_504;
  private static final int MIN_MTU_BYTES = 1_152;
  private static final int STREAM_BASE = 1_000;

  /**
   * Bounds of the queue to one node.
   *
   * @param batches batches in the queue
   * @param bytes bytes of their rows; a single larger batch passes when the queue is empty
   */
  public record Outbound(int batches, long bytes) {
    /** Checks the bounds. */
    public Outbound {
      require(batches >= 1, "outbound.batches", batches, ">= 1");
      require(bytes >= 1, "outbound.bytes", bytes, ">= 1");
    }
  }

  /**
   * Bounds of incomplete batches. Beyond them frames stay where they are and Aeron's flow control
   * stops the senders.
   *
   * @param maxBatchBytes larger batches are refused
   * @param batches batches incomplete at a time
   * @param bytes bytes of their rows; a single larger batch passes when no other is incomplete
   * @param staleAfter a batch of which nothing came for that long is abandoned
   */
  public record Inbound(long maxBatchBytes, int batches, long bytes, Duration staleAfter) {
    /** Checks the bounds. */
    public Inbound {
      require(maxBatchBytes >= 0, "inbound.maxBatchBytes", maxBatchBytes, ">= 0");
      require(batches >= 1, "inbound.batches", batches, ">= 1");
      require(bytes >= 1, "inbound.bytes", bytes, ">= 1");
      require(staleAfter.isPositive(), "inbound.staleAfter", staleAfter, "> 0");
    }
  }

  /** Checks all values. */
  public AeronSettings {
    require(node >= 0, "node", node, ">= 0");
    require(
        channel.startsWith("aeron:ipc") || channel.startsWith("aeron:udp"),
        "channel",
        channel,
        "aeron:ipc or aeron:udp?endpoint=HOST:PORT");
    require(
        mtuBytes >= MIN_MTU_BYTES && mtuBytes <= MAX_MTU_BYTES && mtuBytes % 32 == 0,
        "transport.mtu_bytes",
        mtuBytes,
        "a multiple of 32 from " + MIN_MTU_BYTES + " to " + MAX_MTU_BYTES);
    require(
        termBytes >= 64 * KIB && Integer.bitCount(termBytes) == 1,
        "transport.term_bytes",
        termBytes,
        "a power of two from 65536 to 1073741824");
    require(windowBytes >= mtuBytes, "windowBytes", windowBytes, ">= the MTU, " + mtuBytes);
    require(connectTimeout.isPositive(), "connectTimeout", connectTimeout, "> 0");
    require(maxIdlePark.isPositive(), "maxIdlePark", maxIdlePark, "> 0");
  }

  /** Shared memory between streams of one driver: a node sends to itself. */
  public static AeronSettings ipc(long runId, int node) {
    return defaults(runId, node, "aeron:ipc");
  }

  /** UDP on the loopback interface, on any free port. */
  public static AeronSettings udp(long runId, int node) {
    return defaults(runId, node, "aeron:udp?endpoint=127.0.0.1:0");
  }

  private static AeronSettings defaults(long runId, int node, String channel) {
    return new AeronSettings(
        runId,
        node,
        channel,
        null,
        MAX_MTU_BYTES,
        16 * MIB, // larger terms only eat memory: no faster from 16 MiB on
        2 * MIB, // the knee is at 512 KiB; Linux lets anyone ask for 208 KiB only, see Preflight
        new Outbound(256, 256L * MIB),
        new Inbound(1024L * MIB, 64, 512L * MIB, Duration.ofSeconds(10)),
        Duration.ofSeconds(10),
        Duration.ofMillis(1));
  }

  /**
   * The same with another place for the driver's folder, packet size and term length: what users
   * configure.
   */
  public AeronSettings with(Path newDirectory, int newMtuBytes, int newTermBytes) {
    return new AeronSettings(
        runId,
        node,
        channel,
        newDirectory,
        newMtuBytes,
        newTermBytes,
        Math.max(windowBytes, newMtuBytes),
        outbound,
        inbound,
        connectTimeout,
        maxIdlePark);
  }

  /** The same with another window. */
  AeronSettings withWindow(int newWindowBytes) {
    return new AeronSettings(
        runId,
        node,
        channel,
        directory,
        mtuBytes,
        termBytes,
        newWindowBytes,
        outbound,
        inbound,
        connectTimeout,
        maxIdlePark);
  }

  /** The same with other bounds. */
  public AeronSettings with(Outbound newOutbound, Inbound newInbound, Duration newConnectTimeout) {
    return new AeronSettings(
        runId,
        node,
        channel,
        directory,
        mtuBytes,
        termBytes,
        windowBytes,
        newOutbound,
        newInbound,
        newConnectTimeout,
        maxIdlePark);
  }

  /** The stream on which a node listens. */
  static int streamId(int node) {
    return STREAM_BASE + node;
  }

  boolean isUdp() {
    return channel.startsWith("aeron:udp");
  }

  private static void require(boolean condition, String name, Object value, String expected) {
    if (!condition) {
      throw new IllegalArgumentException("%s: %s (expected: %s)".formatted(name, value, expected));
    }
  }
}
