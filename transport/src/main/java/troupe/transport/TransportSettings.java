package troupe.transport;

import java.nio.file.Path;
import java.time.Duration;

/**
 * How the {@link NodeTransport} of a node works. {@link #of} has values that suit one machine.
 *
 * @param runId frames of other runs are dropped
 * @param node this node, also the number of its stream: a frame that reaches the port of a process
 *     that is gone is not taken by the next one there
 * @param mode which ways it may take
 * @param host the address on which it listens for UDP and under which others reach it
 * @param port its UDP port; 0 is any free one
 * @param directory where the folder of the Aeron driver is made, or {@code null} for /dev/shm if
 *     there is one
 * @param mtuBytes largest UDP packet, a multiple of 32 from 1152 to 65504. Over a real network at
 *     most the MTU of its links less 28; each packet costs a system call, so it decides the
 *     throughput
 * @param termBytes length of the terms of the stream to a node, a power of two; each stream and
 *     side maps three. Those of several threads together have a quarter of it
 * @param windowBytes how much may be on its way on UDP before the receiver has answered
 * @param outbound bounds of what waits to be sent to one node
 * @param inbound bounds of what has begun to arrive
 * @param connectTimeout after that long without a connection, what waits for a node is given back
 *     as undelivered
 * @param maxIdlePark how long an idle thread sleeps at most; bounds the latency added to UDP
 * @param threads that send and receive, each with a stream to each node
 * @param hasCores whether there are cores for these and for three threads of the driver: then they
 *     look for work more often
 */
public record TransportSettings(
    long runId,
    int node,
    Mode mode,
    String host,
    int port,
    Path directory,
    int mtuBytes,
    int termBytes,
    int windowBytes,
    Outbound outbound,
    Inbound inbound,
    Duration connectTimeout,
    Duration maxIdlePark,
    int threads,
    boolean hasCores) {

  private static final int KIB = 1 << 10;
  private static final int MIB = 1 << 20;
  private static final int MAX_MTU_BYTES = 65_504;
  private static final int MIN_MTU_BYTES = 1_152;
  private static final int FRAME_ALIGNMENT = 32;
  private static final int MIN_TERM_BYTES = 64 * KIB;
  private static final int MAX_THREADS = 64;

  /** The streams of several threads take that part of the memory that one would. */
  private static final int SHARE_OF_MANY = 4;

  private static final Duration SPARE_IDLE_PARK = Duration.ofNanos(50_000);

  /** Which ways a node takes. */
  public enum Mode {
    /**
     * Hand-off to itself, shared memory within its machine, of devices or of the host, UDP to
     * others.
     */
    AUTO,
    /** Shared memory of the host only, to itself as well. */
    IPC,
    /** UDP only, to itself as well. */
    UDP
  }

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
  public TransportSettings {
    require(node >= 0, "node", node, ">= 0");
    require(!host.isBlank(), "host", host, "an address that other nodes reach");
    require(port >= 0 && port <= 0xffff, "port", port, "0 to 65535");
    require(
        mtuBytes >= MIN_MTU_BYTES && mtuBytes <= MAX_MTU_BYTES && mtuBytes % 32 == 0,
        "transport.mtu_bytes",
        mtuBytes,
        "a multiple of 32 from " + MIN_MTU_BYTES + " to " + MAX_MTU_BYTES);
    require(
        termBytes >= MIN_TERM_BYTES && Integer.bitCount(termBytes) == 1,
        "transport.term_bytes",
        termBytes,
        "a power of two from 65536 to 1073741824");
    require(windowBytes >= mtuBytes, "windowBytes", windowBytes, ">= the MTU, " + mtuBytes);
    require(connectTimeout.isPositive(), "connectTimeout", connectTimeout, "> 0");
    require(maxIdlePark.isPositive(), "maxIdlePark", maxIdlePark, "> 0");
    require(
        threads >= 1 && threads <= MAX_THREADS,
        "transport.threads",
        threads,
        "1 to " + MAX_THREADS);
  }

  /** A node on the loopback interface, on any free port. */
  public static TransportSettings of(long runId, int node, Mode mode) {
    return new TransportSettings(
        runId,
        node,
        mode,
        "127.0.0.1",
        0,
        null,
        MAX_MTU_BYTES,
        16 * MIB, // larger terms only eat memory: no faster from 16 MiB on
        2 * MIB, // the knee is at 512 KiB; Linux lets anyone ask for 208 KiB only, see Preflight
        new Outbound(256, 256L * MIB),
        new Inbound(1024L * MIB, 64, 512L * MIB, Duration.ofSeconds(10)),
        Duration.ofSeconds(10),
        Duration.ofMillis(1),
        1,
        false);
  }

  /** The same with another address. */
  public TransportSettings at(String newHost, int newPort) {
    return new TransportSettings(
        runId,
        node,
        mode,
        newHost,
        newPort,
        directory,
        mtuBytes,
        termBytes,
        windowBytes,
        outbound,
        inbound,
        connectTimeout,
        maxIdlePark,
        threads,
        hasCores);
  }

  /**
   * The same with another place for the driver's folder, packet size and term length: what users
   * configure.
   */
  public TransportSettings with(Path newDirectory, int newMtuBytes, int newTermBytes) {
    return new TransportSettings(
        runId,
        node,
        mode,
        host,
        port,
        newDirectory,
        newMtuBytes,
        newTermBytes,
        Math.max(windowBytes, newMtuBytes),
        outbound,
        inbound,
        connectTimeout,
        maxIdlePark,
        threads,
        hasCores);
  }

  /** The same with another window. */
  TransportSettings withWindow(int newWindowBytes) {
    return new TransportSettings(
        runId,
        node,
        mode,
        host,
        port,
        directory,
        mtuBytes,
        termBytes,
        newWindowBytes,
        outbound,
        inbound,
        connectTimeout,
        maxIdlePark,
        threads,
        hasCores);
  }

  /** The same with other bounds. */
  public TransportSettings with(
      Outbound newOutbound, Inbound newInbound, Duration newConnectTimeout) {
    return new TransportSettings(
        runId,
        node,
        mode,
        host,
        port,
        directory,
        mtuBytes,
        termBytes,
        windowBytes,
        newOutbound,
        newInbound,
        newConnectTimeout,
        maxIdlePark,
        threads,
        hasCores);
  }

  /**
   * The same with other threads.
   *
   * @param haveCores whether nobody else wants the cores they run on
   */
  public TransportSettings withThreads(int newThreads, boolean haveCores) {
    return new TransportSettings(
        runId,
        node,
        mode,
        host,
        port,
        directory,
        mtuBytes,
        termBytes,
        windowBytes,
        outbound,
        inbound,
        connectTimeout,
        haveCores ? SPARE_IDLE_PARK : maxIdlePark,
        newThreads,
        haveCores);
  }

  /** Whether batches from other machines can come in. */
  boolean hasUdp() {
    return mode != Mode.IPC;
  }

  /** Whether batches from this machine can come in through shared memory. */
  boolean hasIpc() {
    return mode != Mode.UDP;
  }

  /** Where this node listens for UDP. */
  String udpChannel() {
    String address = host.indexOf(':') < 0 ? host : "[" + host + "]";
    return "aeron:udp?endpoint=" + address + ":" + port;
  }

  /**
   * Length of the terms of one stream. Of several they are short, so that rows stay in the cache
   * until they are copied out and cleared; a stream that waits for the driver then does not matter.
   * Four threads took 0.36 s a GB at both ends with 1 MiB each, 0.56 s with 4 MiB; one thread alone
   * with terms of 4 MiB was slower than with 16.
   */
  int strandTermBytes() {
    return threads == 1
        ? termBytes
        : Math.max(MIN_TERM_BYTES, Integer.highestOneBit(termBytes / SHARE_OF_MANY / threads));
  }

  /**
   * Largest message in shared memory, where no network sets a limit: Aeron's own, or an eighth of a
   * term if that is less.
   */
  int ipcMtuBytes() {
    return Math.min(MAX_MTU_BYTES, strandTermBytes() / 8 / FRAME_ALIGNMENT * FRAME_ALIGNMENT);
  }

  private static void require(boolean condition, String name, Object value, String expected) {
    if (!condition) {
      throw new IllegalArgumentException("%s: %s (expected: %s)".formatted(name, value, expected));
    }
  }
}
