package troupe.transport;

import io.aeron.Aeron;
import io.aeron.CommonContext;
import io.aeron.exceptions.AeronException;
import io.aeron.exceptions.TimeoutException;
import java.nio.file.Path;
import org.agrona.CloseHelper;

/**
 * The Aeron client of one driver: this node's own, or that of another process of this machine, into
 * whose shared memory this node then writes. Worked by the transport's first thread, so it costs
 * none of its own. A client that is lost, because the driver or this process stood still for
 * seconds, is made anew; all that was opened with it says that it is closed.
 *
 * <pre>
 *   CONNECTING: the driver is alive                          -> CONNECTED
 *   CONNECTED:  the driver or this process stood still       -> CONNECTING
 *   both:       the driver's process has ended               -> DEAD
 * </pre>
 */
final class DriverClient implements AutoCloseable {
  private static final long WORK_INTERVAL_NS = 200_000;
  private static final long RECONNECT_INTERVAL_NS = 100_000_000;
  private static final long PROBE_INTERVAL_NS = 200_000_000;

  private final Path directory;
  private final boolean isOwn;
  private final StrandLocks strands;
  private final TransportEvents events;
  private volatile Aeron aeron;
  private volatile boolean isLost;
  private volatile boolean isDead;
  private boolean hasConnectFailed;
  private long nextWorkNs = Long.MIN_VALUE;
  private long nextProbeNs = Long.MIN_VALUE;

  private DriverClient(Path directory, boolean isOwn, StrandLocks strands, TransportEvents events) {
    this.directory = directory;
    this.isOwn = isOwn;
    this.strands = strands;
    this.events = events;
  }

  /**
   * A client of the driver in this process, connected.
   *
   * @throws AeronException if the driver does not answer
   */
  static DriverClient ofThisNode(Path directory, StrandLocks strands, TransportEvents events) {
    DriverClient client = new DriverClient(directory, true, strands, events);
    client.aeron = client.newAeron();
    return client;
  }

  /** A client of the driver of another process; it connects in the background. */
  static DriverClient ofNeighbour(Path directory, StrandLocks strands, TransportEvents events) {
    return new DriverClient(directory, false, strands, events);
  }

  /** Whether this is the driver of this very node. */
  boolean isOwn() {
    return isOwn;
  }

  /** What is connected now, or {@code null}. */
  Aeron aeron() {
    return aeron;
  }

  /** Whether the driver's process has ended: there will never be a connection again. */
  boolean isDead() {
    return isDead;
  }

  /** Whether a neighbour's driver fell silent or ended, which is told as a disconnection. */
  boolean isLost() {
    return isLost && !isOwn;
  }

  /** Lets Aeron do what is due, and looks whether the driver lives. Returns the work done. */
  int work(long nowNs) {
    if (isDead || isBefore(nowNs, nextWorkNs)) {
      return 0;
    }
    nextWorkNs = nowNs + WORK_INTERVAL_NS;
    if (!isOwn && !isBefore(nowNs, nextProbeNs)) {
      nextProbeNs = nowNs + PROBE_INTERVAL_NS;
      isDead = DriverDirectory.isDead(directory);
    }
    if (isDead) {
      drop();
      return 1;
    }
    if (aeron == null) {
      return connect(nowNs);
    }
    int work = aeron.conductorAgentInvoker().invoke();
    if (isLost || aeron.isClosed()) {
      drop();
    }
    return work;
  }

  /** Closes what was opened with it. */
  @Override
  public void close() {
    drop();
    isDead = true;
  }

  private static boolean isBefore(long nowNs, long dueNs) {
    return dueNs != Long.MIN_VALUE && nowNs - dueNs < 0;
  }

  private int connect(long nowNs) {
    nextWorkNs = nowNs + RECONNECT_INTERVAL_NS;
    try {
      // Aeron waits for a driver that is not there; this thread has others to serve.
      long timeoutMs = new CommonContext().driverTimeoutMs();
      if (!CommonContext.isDriverActive(directory.toFile(), timeoutMs, message -> {})) {
        return 0;
      }
      aeron = newAeron();
      hasConnectFailed = false;
      return 1;
    } catch (RuntimeException e) {
      if (!hasConnectFailed) {
        hasConnectFailed = true;
        events.onError(e);
      }
      return 0;
    }
  }

  private Aeron newAeron() {
    isLost = false;
    return Aeron.connect(
        new Aeron.Context()
            .aeronDirectoryName(directory.toString())
            .useConductorAgentInvoker(true)
            // Without one, Aeron ends the JVM when a driver falls silent.
            .errorHandler(this::onError)
            .subscriberErrorHandler(this::onError));
  }

  private void onError(Throwable error) {
    boolean isTimeout = error instanceof TimeoutException;
    isLost |= isTimeout;
    // That a neighbour fell silent is told as a disconnection.
    if (isOwn || !isTimeout) {
      events.onError(error);
    }
  }

  /** Unmaps the logs that all strands write and read. */
  private void drop() {
    if (aeron != null) {
      strands.alone(
          () -> {
            CloseHelper.close(events::onError, aeron);
            aeron = null;
          });
    }
  }
}
