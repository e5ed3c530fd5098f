package troupe.transport;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.agrona.CloseHelper;
import org.agrona.concurrent.IdleStrategy;
import org.agrona.concurrent.NanoClock;
import org.agrona.concurrent.SystemNanoClock;

/**
 * The data plane of one node of a cluster. To itself it hands batches over; to the other processes
 * of its machine it writes them into their shared memory, or leaves them where their devices copy
 * them; to other machines it sends UDP; see {@link TransportSettings.Mode}. Through Aeron they go
 * cut into frames ({@link FrameFlyweight}).
 *
 * <p>Runs an Aeron driver of its own and {@link Strands}: threads that send, receive and keep the
 * connections; threads that call {@link #progress} take sending and receiving off them. {@link
 * BatchReceiver} and {@link TransportEvents} are called on these, several at a time if there are
 * several strands, or for a hand-off on the thread that offers, so none of them may close the
 * transport.
 */
public final class NodeTransport implements Transport {
  private static final long POLL_INTERVAL_NS = 100_000;

  /**
   * While others help. Two nodes of one thread on two cores: steps took 5 % (+- 2) longer with 1
   * ms.
   */
  private static final long HELPED_PARK_NS = 4_000_000;

  /** Far longer than from one exchange of rows to the next, so that none finds them asleep. */
  private static final long EAGER_WITH_CORES_NS = 20_000_000;

  private static final Duration START_TIMEOUT = Duration.ofSeconds(10);

  private final TransportSettings settings;
  private final TransportEvents events;
  private final EmbeddedDriver driver;
  private final Endpoint local;
  private final InProcessTransport handOff;
  private final StrandLocks locks;
  private final PickUps pickUps;
  private final Strands strands;
  private final Map<Integer, Peer> peers = new ConcurrentHashMap<>();
  private final LiveCounters counters;
  private final NanoClock clock = SystemNanoClock.INSTANCE;
  private final long source = ThreadLocalRandom.current().nextLong();
  private final ThreadLocal<Boolean> helps = ThreadLocal.withInitial(() -> false);
  private final AtomicLong sequence = new AtomicLong();
  private volatile int epoch = Integer.MIN_VALUE;
  private volatile boolean closed;

  private NodeTransport(
      TransportSettings settings,
      EmbeddedDriver driver,
      StrandLocks locks,
      LiveCounters counters,
      BatchReceiver receiver,
      TransportEvents events) {
    this.settings = settings;
    this.driver = driver;
    this.locks = locks;
    this.counters = counters;
    this.events = events;
    local =
        new Endpoint(
            settings.node(),
            driver.listeners().getLast().channel(), // UDP if it has both
            Machine.id(),
            driver.directory().toString());
    handOff = new InProcessTransport(settings.node(), receiver, events, counters);
    InboundBudget budget = new InboundBudget(settings.inbound());
    pickUps = new PickUps(folder(), receiver, events, counters);
    strands =
        new Strands(
            locks,
            strand -> agent(strand, budget, receiver),
            this::idleOf,
            events::onError,
            "transport-" + settings.node());
  }

  private TransportAgent agent(int strand, InboundBudget budget, BatchReceiver receiver) {
    Assembler assembler =
        new Assembler(settings.runId(), budget, receiver, pickUps, events, counters);
    return new TransportAgent(
        new SendSide(
            peer -> senderOf(peer, strand),
            () -> epoch,
            clock,
            strand == 0 ? pickUps::forget : node -> {}),
        driver.listeners().stream()
            .map(
                listener ->
                    new ReceiveSide(listener, strand, assembler, pickUps, () -> epoch, clock))
            .toList(),
        locks.of(strand),
        strand == 0 ? driver.client() : null,
        events::onError,
        counters.busyNs,
        clock);
  }

  private IdleStrategy idleOf(TransportAgent agent) {
    IdleStrategy alone = EmbeddedDriver.idleStrategy(settings);
    IdleStrategy eager =
        settings.threads().haveCores() ? new EagerIdle(EAGER_WITH_CORES_NS, alone, clock) : alone;
    IdleStrategy idle = new StandInIdle(agent, HELPED_PARK_NS, eager);
    return new BusyTime(idle, counters.busyNs, clock);
  }

  /**
   * Starts the transport of a node that knows no other yet; batches to itself can be offered.
   *
   * @throws IllegalStateException if this machine lacks what it needs; the message names the fix
   * @throws io.aeron.exceptions.AeronException if the driver refuses the settings
   */
  public static NodeTransport open(
      TransportSettings settings, BatchReceiver receiver, TransportEvents events) {
    LiveCounters counters = new LiveCounters();
    StrandLocks locks = new StrandLocks(settings.threads().count());
    EmbeddedDriver driver =
        EmbeddedDriver.launch(settings, locks, counters, events, SystemNanoClock.INSTANCE);
    NodeTransport transport =
        new NodeTransport(settings, driver, locks, counters, receiver, events);
    transport.connectItself();
    return transport;
  }

  /** A folder that other processes of this machine see; it goes when the transport is closed. */
  public Path folder() {
    return driver.directory().getParent();
  }

  /** Where other nodes reach this one. */
  public Endpoint local() {
    return local;
  }

  /**
   * Makes these the nodes that this one talks to. New ones are connected in the background, those
   * no longer named are forgotten: what waits for them is given back as undelivered. A node whose
   * endpoint has changed is connected anew. This node itself may be among them or not.
   *
   * @throws IllegalStateException if one cannot be reached in the mode that is set, or this machine
   *     has no memory for so many; the message names the fix, and nothing has changed
   * @throws IllegalArgumentException if a channel is none of Aeron's; nothing has changed
   */
  public synchronized void connect(Collection<Endpoint> endpoints) {
    Map<Integer, Endpoint> wanted = new HashMap<>();
    endpoints.forEach(endpoint -> wanted.put(endpoint.node(), endpoint));
    wanted.remove(settings.node());
    List<Endpoint> added =
        wanted.values().stream().filter(endpoint -> !endpoint.equals(known(endpoint))).toList();
    checkSpace(added);
    List<Peer> newPeers = added.stream().map(this::peerAt).toList();
    for (Peer peer : peers.values()) {
      boolean isItself = peer.node() == settings.node();
      if (!isItself && !peer.endpoint().equals(wanted.get(peer.node()))) {
        peers.remove(peer.node());
        peer.remove();
      }
    }
    newPeers.forEach(this::add);
    strands.wakeAll();
  }

  /** Whether batches to a node now flow. */
  public boolean isConnected(int node) {
    Peer peer = peers.get(node);
    return !closed && (isHandedOver(node) || peer != null && peer.isConnected());
  }

  /**
   * Waits until batches can be offered to a node; {@code false} if they still cannot at the end.
   */
  public boolean awaitConnected(int node, Duration timeout) {
    long deadlineNs = clock.nanoTime() + timeout.toNanos();
    while (!isConnected(node)) {
      if (closed || clock.nanoTime() - deadlineNs >= 0) {
        return false;
      }
      LockSupport.parkNanos(POLL_INTERVAL_NS);
    }
    return true;
  }

  /**
   * The way that batches to a node take.
   *
   * @throws IllegalArgumentException if the node is not known
   */
  public Way wayTo(int node) {
    if (isHandedOver(node)) {
      return Way.HAND_OFF;
    }
    Peer peer = peers.get(node);
    if (peer == null) {
      throw new IllegalArgumentException("node: %d (expected: one connected)".formatted(node));
    }
    return peer.route().way();
  }

  /**
   * Begins an epoch: batches of older ones are dropped, whether they wait, arrive or are half
   * there. Never goes back.
   */
  @Override
  public void setEpoch(int newEpoch) {
    // Before the lock, which whoever has it may hold until a GPU goes on.
    pickUps.epoch(newEpoch);
    raiseEpoch(newEpoch);
  }

  private synchronized void raiseEpoch(int newEpoch) {
    epoch = Math.max(epoch, newEpoch);
    handOff.setEpoch(newEpoch);
  }

  /**
   * {@inheritDoc}
   *
   * @throws IllegalArgumentException if the payload is not as long as the header says
   */
  @Override
  public Offer offer(int node, BatchHeader header, Payload payload) {
    if (isHandedOver(node)) {
      return handOff.offer(node, header, payload);
    }
    Outbound batch = new Outbound(header, payload, PayloadLength.check(header, payload));
    if (closed) {
      return Offer.CLOSED;
    }
    Peer peer = peers.get(node);
    if (peer == null || !peer.isConnected()) {
      return Offer.NOT_CONNECTED;
    }
    prepare(payload, peer.picksUp());
    Offer offer = peer.queue().offer(batch);
    return switch (offer) {
      case ACCEPTED -> {
        // A helper is here again before the thread would be awake.
        if (!helps.get()) {
          strands.wake();
        }
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

  private static void prepare(Payload payload, boolean nearby) {
    try {
      payload.prepare(nearby);
    } catch (RuntimeException e) {
      // Whoever offers need not know: the rows may be those of a step that is over, sent again.
      return;
    }
  }

  @Override
  public boolean progress() {
    if (!helps.get()) {
      helps.set(true);
    }
    return strands.help();
  }

  @Override
  public TransportCounters counters() {
    return counters.snapshot(driver.naksSent(), driver.naksReceived());
  }

  /** {@inheritDoc} What was accepted and not sent yet is given back as undelivered. */
  @Override
  public synchronized void close() {
    if (closed) {
      return;
    }
    closed = true;
    handOff.close();
    // A thread that is to end may wait for a device that waits for rows.
    pickUps.epoch(Integer.MAX_VALUE);
    peers.values().forEach(peer -> peer.queue().close());
    // The threads give back what is queued and half received; only then is it safe to unmap Aeron's
    // memory.
    CloseHelper.closeAll(events::onError, strands, driver);
  }

  /** Bytes accepted for a node and not yet sent. */
  long queuedBytes(int node) {
    return peers.get(node).queue().bytes();
  }

  private void connectItself() {
    DriverClient client = driver.client();
    switch (settings.mode()) {
      case AUTO -> {}
      case IPC -> add(peer(local, Route.ipc(settings, client)));
      case UDP -> add(peer(local, Route.udp(settings, local.channel(), client)));
    }
    if (!awaitConnected(settings.node(), START_TIMEOUT)) {
      close();
      throw new IllegalStateException(
          """
          connection of node %d to itself by %s: none within %s
          HINT: a firewall on the loopback interface, or a machine out of processor time"""
              .formatted(settings.node(), local.channel(), START_TIMEOUT));
    }
  }

  private boolean isHandedOver(int node) {
    return node == settings.node() && settings.mode() == TransportSettings.Mode.AUTO;
  }

  private Endpoint known(Endpoint endpoint) {
    Peer peer = peers.get(endpoint.node());
    return peer == null ? null : peer.endpoint();
  }

  private void checkSpace(List<Endpoint> added) {
    long needed =
        added.stream()
            .mapToLong(to -> Preflight.neededBytes(settings, Route.wayTo(to, settings)))
            .sum();
    Path parent = EmbeddedDriver.parent(settings);
    Preflight.checkSpace(parent, needed, Preflight.usableBytes(parent));
  }

  private Peer peerAt(Endpoint endpoint) {
    return peer(endpoint, Route.to(endpoint, settings, driver.client(), locks, events));
  }

  private Peer peer(Endpoint endpoint, Route route) {
    boolean picksUp = settings.mode() == TransportSettings.Mode.AUTO && route.way() == Way.IPC;
    return new Peer(endpoint, route, picksUp, settings.outbound());
  }

  private synchronized void add(Peer peer) {
    if (!closed) {
      peers.put(peer.node(), peer);
      strands.add(peer);
    }
  }

  private PeerSender senderOf(Peer peer, int strand) {
    return new PeerSender(peer, strand, settings, this::nextId, events, counters, clock.nanoTime());
  }

  private BatchId nextId() {
    return new BatchId(source, sequence.getAndIncrement());
  }
}
