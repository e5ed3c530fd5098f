package troupe.transport;

import io.aeron.driver.MediaDriver;
import io.aeron.driver.ThreadingMode;
import io.aeron.driver.status.SystemCounterDescriptor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import org.agrona.CloseHelper;
import org.agrona.concurrent.BackoffIdleStrategy;
import org.agrona.concurrent.IdleStrategy;
import org.agrona.concurrent.NanoClock;
import org.agrona.concurrent.SleepingMillisIdleStrategy;

/**
 * The Aeron driver of a node and what is always open on it: one thread for all its work, or three
 * where there are cores for them, asleep when there is none; its folder; this node's client; where
 * it listens.
 */
final class EmbeddedDriver implements AutoCloseable {
  // Measured with two nodes of one thread each on two cores: sleeping at once, or not waking the
  // sender for each batch, made steps 17 % longer; more yields or shorter sleeps 2 to 7 %.
  private static final int MAX_SPINS = 10;
  private static final int MAX_YIELDS = 20;

  /** As long as several windows of a stream last. */
  private static final int MAX_YIELDS_WITH_CORES = 500;

  private static final int MIN_PARK_NS = 1_000;

  /** Names are resolved on a thread of their own, which would look for work 1000 times a second. */
  private static final int NAMES_INTERVAL_MS = 16;

  private final DriverDirectory directory;
  private final MediaDriver driver;
  private final DriverClient client;
  private final List<Listener> listeners;
  private long naksSent;
  private long naksReceived;
  private boolean isClosed;

  private EmbeddedDriver(
      DriverDirectory directory,
      MediaDriver driver,
      DriverClient client,
      List<Listener> listeners) {
    this.directory = directory;
    this.driver = driver;
    this.client = client;
    this.listeners = List.copyOf(listeners);
  }

  /**
   * Starts a driver in a folder of its own and listens.
   *
   * @throws IllegalStateException if this machine lacks what it needs; the message names the fix
   */
  static EmbeddedDriver launch(
      TransportSettings settings,
      StrandLocks strands,
      LiveCounters counters,
      TransportEvents events,
      NanoClock clock) {
    Path parent = parent(settings);
    DriverDirectory directory = DriverDirectory.create(parent);
    MediaDriver driver = null;
    DriverClient client = null;
    try {
      Preflight.checkSpace(parent, Preflight.neededBytes(settings), Preflight.usableBytes(parent));
      TransportSettings fitted = Preflight.fitWindow(settings, Preflight.maxReceiveBufferBytes());
      Supplier<IdleStrategy> idle =
          () -> new BusyTime(idleStrategy(settings), counters.driverBusyNs, clock);
      driver = MediaDriver.launch(context(fitted, directory.aeron(), idle, events));
      client = DriverClient.ofThisNode(directory.aeron(), strands, events);
      List<Listener> listeners = new ArrayList<>();
      if (settings.hasIpc()) {
        listeners.add(Listener.ipc(settings, client, events));
      }
      if (settings.hasUdp()) {
        listeners.add(Listener.udp(settings, client, events, clock));
      }
      return new EmbeddedDriver(directory, driver, client, listeners);
    } catch (RuntimeException e) {
      CloseHelper.quietCloseAll(client, driver, directory);
      throw e;
    }
  }

  /** Where the folder is made. */
  static Path parent(TransportSettings settings) {
    return settings.driver().directory() == null
        ? DriverDirectory.defaultParent()
        : settings.driver().directory();
  }

  /** Spins and yields a little, then sleeps longer and longer. One instance per thread. */
  static IdleStrategy idleStrategy(TransportSettings settings) {
    int yields = settings.threads().haveCores() ? MAX_YIELDS_WITH_CORES : MAX_YIELDS;
    return new BackoffIdleStrategy(
        MAX_SPINS, yields, MIN_PARK_NS, settings.threads().maxIdlePark().toNanos());
  }

  private static MediaDriver.Context context(
      TransportSettings settings,
      Path directory,
      Supplier<IdleStrategy> idle,
      TransportEvents events) {
    MediaDriver.Context context =
        new MediaDriver.Context()
            .aeronDirectoryName(directory.toString())
            .dirDeleteOnShutdown(true)
            .warnIfDirectoryExists(false)
            .asyncExecutorIdleStrategy(new SleepingMillisIdleStrategy(NAMES_INTERVAL_MS))
            // Terms take memory when they are first written, not all at once at the start.
            .termBufferSparseFile(true)
            .publicationTermBufferLength(settings.strandTermBytes())
            .ipcTermBufferLength(settings.strandTermBytes())
            .mtuLength(settings.driver().mtuBytes())
            .ipcMtuLength(settings.ipcMtuBytes())
            .errorHandler(events::onError);
    setThreads(context, settings.threads().haveCores(), idle);
    if (settings.hasUdp()) {
      context
          .initialWindowLength(settings.driver().windowBytes())
          .socketRcvbufLength(bufferBytes(settings, Preflight.maxReceiveBufferBytes()))
          .socketSndbufLength(bufferBytes(settings, Preflight.maxSendBufferBytes()));
    }
    return context;
  }

  private static void setThreads(
      MediaDriver.Context context, boolean isDedicated, Supplier<IdleStrategy> idle) {
    if (isDedicated) {
      context
          .threadingMode(ThreadingMode.DEDICATED)
          .conductorIdleStrategy(idle.get())
          .senderIdleStrategy(idle.get())
          .receiverIdleStrategy(idle.get())
          .conductorThreadFactory(DaemonThreads.named("transport-driver"))
          .senderThreadFactory(DaemonThreads.named("transport-driver-sender"))
          .receiverThreadFactory(DaemonThreads.named("transport-driver-receiver"));
    } else {
      context
          .threadingMode(ThreadingMode.SHARED)
          .sharedIdleStrategy(idle.get())
          .sharedThreadFactory(DaemonThreads.named("transport-driver"));
    }
  }

  /** Twice the window: the kernel counts its own overhead on each packet too. */
  private static int bufferBytes(TransportSettings settings, int limit) {
    return (int) Math.min(limit, 2L * settings.driver().windowBytes());
  }

  Path directory() {
    return directory.aeron();
  }

  /** This node's own client; for the transport's thread. */
  DriverClient client() {
    return client;
  }

  List<Listener> listeners() {
    return listeners;
  }

  /** How often this node asked for lost packets. */
  synchronized long naksSent() {
    readCounters();
    return naksSent;
  }

  /** How often others asked this node. */
  synchronized long naksReceived() {
    readCounters();
    return naksReceived;
  }

  /** The memory of the counters goes with the driver: what they said last stays here. */
  private void readCounters() {
    if (!isClosed) {
      naksSent = counter(SystemCounterDescriptor.NAK_MESSAGES_SENT);
      naksReceived = counter(SystemCounterDescriptor.NAK_MESSAGES_RECEIVED);
    }
  }

  private long counter(SystemCounterDescriptor descriptor) {
    return driver.context().systemCounters().get(descriptor).get();
  }

  /** Stops it and deletes its folder; only when nobody works the client any more. */
  @Override
  public synchronized void close() {
    readCounters();
    isClosed = true;
    CloseHelper.quietCloseAll(client, driver, directory);
  }
}
