package troupe.transport;

import io.aeron.Aeron;
import io.aeron.ChannelUri;
import io.aeron.Subscription;
import io.aeron.driver.MediaDriver;
import io.aeron.driver.status.SystemCounterDescriptor;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.agrona.CloseHelper;
import org.agrona.concurrent.AgentRunner;
import org.agrona.concurrent.CompositeAgent;
import org.agrona.concurrent.NanoClock;
import org.agrona.concurrent.SystemNanoClock;

/**
 * Sends batches through Aeron, shared memory or UDP, cut into frames ({@link FrameFlyweight}). Runs
 * a driver of its own (one thread), an Aeron client (one thread, mostly asleep) and one thread that
 * sends and receives; {@link BatchReceiver} and {@link TransportEvents} are called on that last
 * one, so none of them may close the transport.
 */
public final class AeronTransport implements Transport {
  private static final long POLL_INTERVAL_NS = 100_000;
  private static final Duration START_TIMEOUT = Duration.ofSeconds(10);

  private final AeronSettings settings;
  private final TransportEvents events;
  private final DriverDirectory directory;
  private final MediaDriver driver;
  private final Aeron aeron;
  private final Subscription subscription;
  private final SendAgent sendAgent;
  private final AgentRunner runner;
  private final Thread thread;
  private final Map<Integer, Peer> peers = new ConcurrentHashMap<>();
  private final LiveCounters counters = new LiveCounters();
  private final NanoClock clock = SystemNanoClock.INSTANCE;
  private final long source = ThreadLocalRandom.current().nextLong();
  private long sequence; // touched by the sending thread only
  private volatile int epoch = Integer.MIN_VALUE;
  private volatile boolean closed;

  private AeronTransport(
      AeronSettings settings,
      DriverDirectory directory,
      MediaDriver driver,
      Aeron aeron,
      BatchReceiver receiver,
      TransportEvents events) {
    this.settings = settings;
    this.directory = directory;
    this.driver = driver;
    this.aeron = aeron;
    this.events = events;
    subscription =
        aeron.addSubscription(settings.channel(), AeronSettings.streamId(settings.node()));
    Assembler assembler =
        new Assembler(settings.runId(), settings.inbound(), receiver, events, counters);
    ReceiveAgent receiveAgent = new ReceiveAgent(subscription, assembler, () -> epoch, clock);
    sendAgent = new SendAgent(this::senderOf, () -> epoch, clock);
    runner =
        new AgentRunner(
            EmbeddedDriver.idleStrategy(settings),
            events::onError,
            null,
            new CompositeAgent(sendAgent, receiveAgent));
    thread = AgentRunner.startOnThread(runner, DaemonThreads.named("transport-" + settings.node()));
  }

  /**
   * Starts a transport without peers.
   *
   * @throws IllegalStateException if this machine lacks what it needs; the message names the fix
   * @throws io.aeron.exceptions.AeronException if the driver refuses the settings, such as an
   *     address in use
   */
  public static AeronTransport launch(
      AeronSettings settings, BatchReceiver receiver, TransportEvents events) {
    Path parent =
        settings.directory() == null ? DriverDirectory.defaultParent() : settings.directory();
    DriverDirectory directory = DriverDirectory.create(parent);
    MediaDriver driver = null;
    Aeron aeron = null;
    try {
      Preflight.checkSpace(settings, parent, Preflight.usableBytes(parent));
      AeronSettings fitted = Preflight.fitWindow(settings, Preflight.maxReceiveBufferBytes());
      driver = EmbeddedDriver.launch(fitted, directory.aeron(), events::onError);
      aeron =
          Aeron.connect(
              new Aeron.Context()
                  .aeronDirectoryName(directory.aeron().toString())
                  .threadFactory(DaemonThreads.named("transport-client"))
                  .errorHandler(events::onError));
      return new AeronTransport(fitted, directory, driver, aeron, receiver, events);
    } catch (RuntimeException e) {
      CloseHelper.quietCloseAll(aeron, driver, directory);
      throw e;
    }
  }

  /**
   * Starts a transport whose only peer is its own node: all batches of one JVM go through Aeron and
   * back.
   *
   * @throws IllegalStateException if this machine lacks what it needs; the message names the fix
   */
  public static AeronTransport loopback(
      AeronSettings settings, BatchReceiver receiver, TransportEvents events) {
    AeronTransport transport = launch(settings, receiver, events);
    transport.addPeer(settings.node(), transport.localChannel());
    if (!transport.awaitConnected(settings.node(), START_TIMEOUT)) {
      transport.close();
      throw new IllegalStateException(
          """
          connection of node %d to itself by %s: none within %s
          HINT: a firewall on the loopback interface, or a machine out of processor time"""
              .formatted(settings.node(), settings.channel(), START_TIMEOUT));
    }
    return transport;
  }

  /**
   * The channel on which this node listens, with the port that was found if any free one was asked
   * for: what other nodes give to {@link #addPeer}.
   *
   * @throws IllegalStateException if the driver does not answer
   */
  public String localChannel() {
    String[] channel = new String[1];
    if (!await(() -> (channel[0] = resolvedChannel()) != null, START_TIMEOUT)) {
      throw new IllegalStateException("no port for channel: " + settings.channel());
    }
    return channel[0];
  }

  private String resolvedChannel() {
    return settings.isUdp() ? subscription.tryResolveChannelEndpointPort() : settings.channel();
  }

  /**
   * Makes a node known; the connection comes up in the background.
   *
   * @param node the node
   * @param channel its {@link #localChannel}
   * @throws IllegalArgumentException if the channel is not one of Aeron's, or the node is known
   *     already
   */
  public void addPeer(int node, String channel) {
    ChannelUri.parse(channel);
    Peer peer = new Peer(node, channel, settings.outbound());
    synchronized (this) {
      if (closed) {
        return;
      }
      if (peers.putIfAbsent(node, peer) != null) {
        throw new IllegalArgumentException("peer: " + node + " (expected: one not added yet)");
      }
      sendAgent.add(peer);
    }
    LockSupport.unpark(thread);
  }

  /** Forgets a node. What waits for it is given back as undelivered. */
  public synchronized void removePeer(int node) {
    Peer peer = peers.remove(node);
    if (peer != null) {
      peer.remove();
    }
  }

  /**
   * Waits until batches can be offered to a node; {@code false} if they still cannot at the end.
   */
  public boolean awaitConnected(int node, Duration timeout) {
    return await(
        () -> {
          Peer peer = peers.get(node);
          return peer != null && peer.isConnected();
        },
        timeout);
  }

  /**
   * Begins an epoch: batches of older ones are dropped, whether they wait, arrive or are half
   * there. Never goes back.
   */
  @Override
  public synchronized void setEpoch(int newEpoch) {
    epoch = Math.max(epoch, newEpoch);
  }

  /**
   * {@inheritDoc}
   *
   * @throws IllegalArgumentException if the payload is not as long as the header says
   */
  @Override
  public Offer offer(int node, BatchHeader header, Payload payload) {
    Outbound batch = new Outbound(header, payload, PayloadLength.check(header, payload));
    if (closed) {
      return Offer.CLOSED;
    }
    Peer peer = peers.get(node);
    if (peer == null || !peer.isConnected()) {
      return Offer.NOT_CONNECTED;
    }
    Offer offer = peer.queue().offer(batch);
    return switch (offer) {
      case ACCEPTED -> {
        LockSupport.unpark(thread);
        yield offer;
      }
      case BACK_PRESSURED -> {
        counters.backPressured.increment();
        yield offer;
      }
      case CLOSED -> closed ? offer : Offer.NOT_CONNECTED;
      case NOT_CONNECTED -> offer;
    };
  }

  @Override
  public TransportCounters counters() {
    return counters.snapshot();
  }

  /** {@inheritDoc} What was accepted and not sent yet is given back as undelivered. */
  @Override
  public synchronized void close() {
    if (closed) {
      return;
    }
    closed = true;
    peers.values().forEach(peer -> peer.queue().close());
    // The thread gives back what is queued and half received; only then is it safe to unmap Aeron's
    // memory.
    CloseHelper.closeAll(events::onError, runner, aeron, driver, directory);
  }

  /** A counter of the driver, such as how often it asked for lost packets. */
  long driverCounter(SystemCounterDescriptor counter) {
    return aeron.countersReader().getCounterValue(counter.id());
  }

  /** Bytes accepted for a node and not yet sent. */
  long queuedBytes(int node) {
    return peers.get(node).queue().bytes();
  }

  private PeerSender senderOf(Peer peer) {
    return new PeerSender(peer, aeron, settings, this::nextId, events, counters, clock.nanoTime());
  }

  private BatchId nextId() {
    return new BatchId(source, sequence++);
  }

  private boolean await(BooleanSupplier condition, Duration timeout) {
    long deadlineNs = clock.nanoTime() + timeout.toNanos();
    while (!condition.getAsBoolean()) {
      if (closed || clock.nanoTime() - deadlineNs >= 0) {
        return false;
      }
      LockSupport.parkNanos(POLL_INTERVAL_NS);
    }
    return true;
  }
}
