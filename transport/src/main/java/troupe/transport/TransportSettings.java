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
 * @param address where others reach it
 * @param driver what its Aeron driver is given
 * @param outbound bounds of what waits to be sent to one node
 * @param inbound bounds of what has begun to arrive
 * @param connectTimeout after that long without a connection, what waits for a node is given back
 *     as undelivered
 * @param threads what sends and receives
 */
public record TransportSettings(
    long runId,
    int node,
    Mode mode,
    Address address,
    Driver driver,
    Outbound outbound,
    Inbound inbound,
    Duration connectTimeout,
    Threads threads) {

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
   * Where a node listens for UDP.
   *
   * @param host the address under which others reach it, too
   * @param port 0 is any free one
   */
  public record Address(String host, int port) {
    /** Checks the values. */
    public Address {
      require(!host.isBlank(), "host", host, "an address that other nodes reach");
      require(port >= 0 && port <= 0xffff, "port", port, "0 to 65535");
    }

    /** As Aeron takes it. */
    String channel() {
      String literal = host.indexOf(':') < 0 ? host : "[" + host + "]";
      return "aeron:udp?endpoint=" + literal + ":" + port;
    }
  }

  /**
   * What the Aeron driver is given.
   *
   * @param directory where its folder is made, or {@code null} for /dev/shm if there is one
   * @param mtuBytes largest UDP packet, a multiple of 32 from 1152 to 65504. Over a real network at
   *     most the MTU of its links less 28; each packet costs a system call, so it decides the
   *     throughput
   * @param termBytes length of the terms of the stream to a node, a power of two; each stream and
   *     side maps three. Those of several threads together have a quarter of it
   * @param windowBytes how much may be on its way on UDP before the receiver has answered
   */
  public record Driver(Path directory, int mtuBytes, int termBytes, int windowBytes) {
    /** Checks the sizes. */
    public Driver {
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
    }
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

  /**
   * Threads that send and receive, each with a stream to each node.
   *
   * @param count how many
   * @param haveCores whether there are cores for these and for three threads of the driver: then
   *     they look for work more often
   * @param maxIdlePark how long an idle one sleeps at most; bounds the latency added to UDP
   */
  public record Threads(int count, boolean haveCores, Duration maxIdlePark) {
    /** Checks the values. */
    public Threads {
      require(
          count >= 1 && count <= MAX_THREADS, "transport.threads", count, "1 to " + MAX_THREADS);
      require(maxIdlePark.isPositive(), "maxIdlePark", maxIdlePark, "> 0");
    }
  }

  /** Checks what has no checks of its own. */
  public TransportSettings {
    require(node >= 0, "node", node, ">= 0");
    require(connectTimeout.isPositive(), "connectTimeout", connectTimeout, "> 0");
  }

  /** A node on the loopback interface, on any free port. */
  public static TransportSettings of(long runId, int node, Mode mode) {
    return new TransportSettings(
        runId,
        node,
        mode,
        new Address("127.0.0.1", 0),
        new Driver(
            null,
            MAX_MTU_BYTES,
            16 * MIB, // larger terms only eat memory: no faster from 16 MiB on
            2 * MIB), // the knee is at 512 KiB; Linux lets anyone have 208 KiB only, see Preflight
        new Outbound(256, 256L * MIB),
        new Inbound(1024L * MIB, 64, 512L * MIB, Duration.ofSeconds(10)),
        Duration.ofSeconds(10),
        new Threads(1, false, Duration.ofMillis(1)));
  }

  /** The same with another address. */
  public TransportSettings at(String host, int port) {
    Address there = new Address(host, port);
    return new TransportSettings(
        runId, node, mode, there, driver, outbound, inbound, connectTimeout, threads);
  }

  /**
   * The same with another place for the driver's folder, packet size and term length: what users
   * configure.
   */
  public TransportSettings with(Path directory, int mtuBytes, int termBytes) {
    int windowBytes = Math.max(driver.windowBytes, mtuBytes);
    return with(new Driver(directory, mtuBytes, termBytes, windowBytes));
  }

  /** The same with another window. */
  TransportSettings withWindow(int windowBytes) {
    return with(new Driver(driver.directory, driver.mtuBytes, driver.termBytes, windowBytes));
  }

  private TransportSettings with(Driver other) {
    return new TransportSettings(
        runId, node, mode, address, other, outbound, inbound, connectTimeout, threads);
  }

  /** The same with other bounds. */
  public TransportSettings with(
      Outbound newOutbound, Inbound newInbound, Duration newConnectTimeout) {
    return new TransportSettings(
        runId, node, mode, address, driver, newOutbound, newInbound, newConnectTimeout, threads);
  }

  /**
   * The same with other threads.
   *
   * @param haveCores whether nobody else wants the cores they run on
   */
  public TransportSettings withThreads(int count, boolean haveCores) {
    Duration maxIdlePark = haveCores ? SPARE_IDLE_PARK : threads.maxIdlePark;
    Threads others = new Threads(count, haveCores, maxIdlePark);
    return new TransportSettings(
        runId, node, mode, address, driver, outbound, inbound, connectTimeout, others);
  }

  /** Whether batches from other machines can come in. */
  boolean hasUdp() {
    return mode != Mode.IPC;
  }

  /** Whether batches from this machine can come in through shared memory. */
  boolean hasIpc() {
    return mode != Mode.UDP;
  }

  /**
   * Length of the terms of one stream. Of several they are short, so that rows stay in the cache
   * until they are copied out and cleared; a stream that waits for the driver then does not matter.
   * Four threads took 0.36 s a GB at both ends with 1 MiB each, 0.56 s with 4 MiB; one thread alone
   * with terms of 4 MiB was slower than with 16.
   */
  int strandTermBytes() {
    int share = driver.termBytes / SHARE_OF_MANY / threads.count;
    return threads.count == 1
        ? driver.termBytes
        : Math.max(MIN_TERM_BYTES, Integer.highestOneBit(share));
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
