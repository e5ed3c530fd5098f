package troupe.transport;

import io.aeron.Aeron;
import io.aeron.Image;
import io.aeron.Subscription;
import io.aeron.exceptions.RegistrationException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.agrona.concurrent.NanoClock;

/** Where a node listens; opened again whenever the client of its driver is made anew. */
final class Listener {
  private static final String IPC = "aeron:ipc";
  private static final long REOPEN_INTERVAL_NS = TimeUnit.SECONDS.toNanos(1);
  private static final long START_TIMEOUT_NS = TimeUnit.SECONDS.toNanos(10);
  private static final long POLL_INTERVAL_NS = 100_000;

  private final Way way;
  private final int node;
  private final DriverClient client;
  private final TransportEvents events;
  private final String channel;
  private final Inlets inlets;
  private Subscription subscription;
  private boolean hasOpenFailed;
  private long nextOpenNs;

  private Listener(
      Way way,
      int node,
      DriverClient client,
      TransportEvents events,
      Inlets inlets,
      Subscription subscription,
      String channel) {
    this.way = way;
    this.node = node;
    this.client = client;
    this.events = events;
    this.inlets = inlets;
    this.subscription = subscription;
    this.channel = channel;
  }

  /** Listens in the shared memory of this node's driver. */
  static Listener ipc(TransportSettings settings, DriverClient client, TransportEvents events) {
    int node = settings.node();
    Inlets inlets = new Inlets(settings.threads().count());
    Subscription subscription = subscribe(client.aeron(), IPC, node, inlets);
    return new Listener(Way.IPC, node, client, events, inlets, subscription, IPC);
  }

  /**
   * Listens on a UDP port.
   *
   * @throws IllegalStateException if the address cannot be had; the message names the keys
   */
  static Listener udp(
      TransportSettings settings, DriverClient client, TransportEvents events, NanoClock clock) {
    try {
      int node = settings.node();
      Inlets inlets = new Inlets(settings.threads().count());
      Subscription any = subscribe(client.aeron(), settings.address().channel(), node, inlets);
      String channel = resolve(any, client, clock);
      return new Listener(Way.UDP, node, client, events, inlets, any, channel);
    } catch (RegistrationException e) {
      throw new IllegalStateException(
          """
          cluster.data_port: %s:%d (expected: a free port of an address of this machine): %s
          HINT: set cluster.host, or cluster.data_port=0 for any free port"""
              .formatted(settings.address().host(), settings.address().port(), e.getMessage()),
          e);
    }
  }

  private static Subscription subscribe(Aeron aeron, String channel, int node, Inlets inlets) {
    return aeron.addSubscription(channel, node, inlets::add, inlets::remove);
  }

  private static String resolve(Subscription subscription, DriverClient client, NanoClock clock) {
    long startNs = clock.nanoTime();
    String channel;
    while ((channel = subscription.tryResolveChannelEndpointPort()) == null) {
      long nowNs = clock.nanoTime();
      if (nowNs - startNs > START_TIMEOUT_NS) {
        throw new IllegalStateException("no port for channel: " + subscription.channel());
      }
      client.work(nowNs);
      LockSupport.parkNanos(POLL_INTERVAL_NS);
    }
    return channel;
  }

  Way way() {
    return way;
  }

  /** Where others reach it: with the number of the port, so it is the same when opened again. */
  String channel() {
    return channel;
  }

  /** What a strand is to poll; none while the driver is out of reach. */
  Image[] images(int strand) {
    return inlets.of(strand);
  }

  /** Listens again if the client was made anew; waits for Aeron's driver then. */
  void keepOpen(long nowNs) {
    if (subscription.isClosed()) {
      reopen(nowNs);
    }
  }

  private void reopen(long nowNs) {
    Aeron aeron = client.aeron();
    if (aeron == null || nextOpenNs != 0 && nowNs - nextOpenNs < 0) {
      return;
    }
    nextOpenNs = nowNs + REOPEN_INTERVAL_NS;
    try {
      subscription = subscribe(aeron, channel, node, inlets);
      hasOpenFailed = false;
    } catch (RuntimeException e) {
      if (!hasOpenFailed) {
        hasOpenFailed = true;
        events.onError(e);
      }
    }
  }
}
