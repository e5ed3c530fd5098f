package troupe.coordinator.host;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import troupe.transport.Payload;
import troupe.transport.Phase;
import troupe.transport.Transport;

/**
 * Sends shards to nodes, chunk by chunk and without copying them. Each node gets its transfers in
 * order, and never more than {@link #WINDOW} chunks wait for it in the transport: a batch of
 * training that comes after them is soon on its way. A transfer ends when its receiver {@linkplain
 * #confirm confirms} it; one that is not confirmed in time is sent again.
 *
 * <p>Used by one thread, its owner's; {@link #tick} has to be called every few milliseconds while
 * something is on its way.
 */
public final class Courier {
  /** Chunks to a node that the transport holds: one on the wire, one that follows at once. */
  static final int WINDOW = 2;

  private static final Logger LOG = LoggerFactory.getLogger(Courier.class);

  private final Transport transport;
  private final ShardCatalog catalog;
  private final Settings settings;
  private final Consumer<Runnable> owner;
  private final LongSupplier nanoTime;
  private final Listener listener;
  private final Map<Integer, Destination> destinations = new HashMap<>();
  private int epoch;

  /**
   * How transfers are tried.
   *
   * @param runId stamped on every chunk
   * @param timeout how long a transfer may go without progress, or without a confirmation once it
   *     was sent
   * @param attempts how often it is sent before it is given up
   */
  public record Settings(long runId, Duration timeout, int attempts) {
    /** Checks the bounds. */
    public Settings {
      if (!timeout.isPositive() || attempts < 1) {
        throw new IllegalArgumentException(
            "timeout: " + timeout + ", attempts: " + attempts + " (expected: > 0, >= 1)");
      }
    }
  }

  /** Told, on the owner's thread, of what could not be delivered. */
  @FunctionalInterface
  public interface Listener {
    /** A transfer was given up. */
    void onUndelivered(int node, Phase phase, ShardId shard, long step);
  }

  /** What is on its way to a node. */
  private static final class Destination {
    final int node;
    final Deque<Transfer> waiting = new ArrayDeque<>();
    final List<Transfer> sent = new ArrayList<>();
    int inFlight;

    Destination(int node) {
      this.node = node;
    }

    Stream<Transfer> transfers() {
      return Stream.concat(waiting.stream(), sent.stream());
    }
  }

  /**
   * A courier with nothing to do.
   *
   * @param owner runs what it is given on the owner's thread, later: payloads are released on
   *     threads of the transport
   * @param nanoTime the clock
   */
  public Courier(
      Transport transport,
      ShardCatalog catalog,
      Settings settings,
      Consumer<Runnable> owner,
      LongSupplier nanoTime,
      Listener listener) {
    this.transport = transport;
    this.catalog = catalog;
    this.settings = settings;
    this.owner = owner;
    this.nanoTime = nanoTime;
    this.listener = listener;
  }

  /** A new epoch: gives up what is on its way; chunks carry the new number from now on. */
  public void epoch(int newEpoch) {
    abandonAll();
    epoch = newEpoch;
  }

  /**
   * Sends a copy; the caller's reference becomes the courier's. If the same is on its way to that
   * node already, that goes on alone.
   *
   * @param phase what for: replica, restore or checkpoint
   */
  public void send(int node, Phase phase, ShardCopy copy) {
    Destination destination = destinations.computeIfAbsent(node, Destination::new);
    if (destination.transfers().anyMatch(it -> it.is(phase, copy.shard(), copy.step()))) {
      copy.release();
      return;
    }
    Transfer transfer = new Transfer(phase, copy, catalog);
    transfer.start(nanoTime.getAsLong());
    destination.waiting.add(transfer);
    pump(destination);
  }

  /**
   * A receiver has the whole of a shard.
   *
   * @return whether this ended a transfer; false if it was over, or of another epoch
   */
  public boolean confirm(Host.Arrived arrived) {
    Destination destination = destinations.get(arrived.node());
    if (destination == null || arrived.epoch() != epoch) {
      return false;
    }
    Transfer transfer =
        destination
            .transfers()
            .filter(it -> it.is(arrived.phase(), arrived.shard(), arrived.step()))
            .findAny()
            .orElse(null);
    if (transfer == null) {
      return false;
    }
    destination.sent.remove(transfer);
    destination.waiting.remove(transfer);
    transfer.copy().release();
    startNext(destination);
    pump(destination);
    return true;
  }

  /** Transfers of a phase and step that are not confirmed yet. */
  public int pending(Phase phase, long step) {
    return (int) transfers().filter(it -> it.phase() == phase && it.copy().step() == step).count();
  }

  /** Whether nothing is on its way. */
  public boolean isIdle() {
    return transfers().findAny().isEmpty();
  }

  /** Offers again what the transport had no room for, and sends again what was not confirmed. */
  public void tick() {
    long nowNs = nanoTime.getAsLong();
    for (Destination destination : List.copyOf(destinations.values())) {
      for (Transfer transfer : List.copyOf(destination.sent)) {
        // Whoever was told of an earlier one may have begun an epoch meanwhile.
        if (isLate(transfer, nowNs) && destination.sent.remove(transfer)) {
          retry(destination, transfer, nowNs);
        }
      }
      Transfer first = destination.waiting.peek();
      if (first != null && isLate(first, nowNs)) {
        destination.waiting.poll();
        retry(destination, first, nowNs);
        startNext(destination);
      }
      pump(destination);
    }
  }

  /** Gives up everything. Copies that the transport still reads are freed when it has done so. */
  public void abandonAll() {
    transfers().forEach(transfer -> transfer.copy().release());
    for (Destination destination : destinations.values()) {
      destination.waiting.clear();
      destination.sent.clear();
    }
    destinations.values().removeIf(destination -> destination.inFlight == 0);
  }

  private Stream<Transfer> transfers() {
    return destinations.values().stream().flatMap(Destination::transfers);
  }

  private boolean isLate(Transfer transfer, long nowNs) {
    return nowNs - transfer.lastProgressNs() > settings.timeout().toNanos();
  }

  private void retry(Destination destination, Transfer transfer, long nowNs) {
    if (transfer.attempts() < settings.attempts()) {
      LOG.info("node={} sending again {}", destination.node, transfer);
      transfer.start(nowNs);
      destination.waiting.add(transfer);
      return;
    }
    LOG.warn("node={} given up {} attempts={}", destination.node, transfer, transfer.attempts());
    ShardCopy copy = transfer.copy();
    copy.release();
    listener.onUndelivered(destination.node, transfer.phase(), copy.shard(), copy.step());
  }

  /** The clock of a transfer runs from when it is the first in line. */
  private void startNext(Destination destination) {
    Transfer first = destination.waiting.peek();
    if (first != null) {
      first.progress(nanoTime.getAsLong());
    }
  }

  private void pump(Destination destination) {
    while (destination.inFlight < WINDOW && !destination.waiting.isEmpty()) {
      Transfer transfer = destination.waiting.peek();
      if (!offer(destination, transfer)) {
        return;
      }
      if (transfer.hasAllAccepted()) {
        destination.waiting.poll();
        destination.sent.add(transfer);
        startNext(destination);
      }
    }
  }

  private boolean offer(Destination destination, Transfer transfer) {
    ShardChunk chunk = transfer.chunk();
    LeasedBytes payload =
        new LeasedBytes(
            transfer.copy(),
            chunk.of(transfer.copy().bytes(), catalog),
            () -> owner.accept(() -> onReleased(destination, transfer)));
    destination.inFlight++;
    if (isAccepted(destination.node, chunk, payload)) {
      transfer.chunkAccepted();
      transfer.progress(nanoTime.getAsLong());
      return true;
    }
    destination.inFlight--;
    payload.withdraw();
    return false;
  }

  private boolean isAccepted(int node, ShardChunk chunk, Payload payload) {
    return switch (transport.offer(node, chunk.header(settings.runId(), epoch, catalog), payload)) {
      case ACCEPTED -> true;
      case BACK_PRESSURED, NOT_CONNECTED, CLOSED -> false;
    };
  }

  private void onReleased(Destination destination, Transfer transfer) {
    destination.inFlight--;
    transfer.progress(nanoTime.getAsLong());
    pump(destination);
  }
}
