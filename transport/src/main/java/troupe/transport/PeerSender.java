package troupe.transport;

import io.aeron.Aeron;
import io.aeron.ExclusivePublication;
import io.aeron.Publication;
import io.aeron.exceptions.AeronException;
import io.aeron.logbuffer.BufferClaim;
import java.lang.foreign.MemorySegment;
import java.util.function.IntSupplier;
import java.util.function.Supplier;
import org.agrona.CloseHelper;
import troupe.transport.TransportEvents.Undelivered;

/**
 * Sends what waits for one node, batch after batch, chunk after chunk; one copy from the rows into
 * the log of the publication. Used by one thread at a time. What Aeron does not take now is tried
 * again in the next round.
 *
 * <p>Each strand has one to each node, and all take batches from its one queue. The first says
 * whether the node is connected, and gives back what waits in the queue.
 *
 * <pre>
 *   OPENING: the driver has made the publication                      -> OPEN
 *   OPEN:    the publication is closed or at the end of its positions -> OPENING
 *   OPEN:    the connection comes (back)                              -> OPEN, the batch starts over
 *   both:    no connection for connectTimeout, or the node is dead    -> what waits is given back
 * </pre>
 */
final class PeerSender {
  private static final long REOPEN_INTERVAL_NS = 100_000_000;

  private final Peer peer;
  private final boolean isFirst;
  private final Route route;
  private final DriverClient client;
  private final TransportSettings settings;
  private final Supplier<BatchId> ids;
  private final TransportEvents events;
  private final LiveCounters counters;
  private final FrameMemory memory = new FrameMemory();
  private final BufferClaim claim = new BufferClaim();

  private Aeron opener;
  private ExclusivePublication publication;
  private long registrationId = Aeron.NULL_VALUE;
  private long nextOpenNs;
  private boolean hasOpenFailed;
  private boolean isConnected;
  private long lastConnectedNs;

  private Outbound batch;

  /** Of the batch; null while they are on their way from a device. */
  private MemorySegment rows;

  private BatchId id;
  private long sentBytes;

  PeerSender(
      Peer peer,
      int strand,
      TransportSettings settings,
      Supplier<BatchId> ids,
      TransportEvents events,
      LiveCounters counters,
      long nowNs) {
    this.peer = peer;
    this.isFirst = strand == 0;
    this.route = peer.route();
    this.client = route.client();
    this.settings = settings;
    this.ids = ids;
    this.events = events;
    this.counters = counters;
    this.nextOpenNs = nowNs;
    this.lastConnectedNs = nowNs;
  }

  Peer peer() {
    return peer;
  }

  /**
   * Opens what is closed and gives back what waits for too long; may wait for Aeron's driver.
   * Returns the work done.
   */
  int keepConnected(long nowNs) {
    int work = isFirst && !client.isOwn() ? client.work(nowNs) : 0;
    if (connected(isConnected(nowNs))) {
      lastConnectedNs = nowNs;
    } else if (client.isDead() || nowNs - lastConnectedNs > settings.connectTimeout().toNanos()) {
      discard(Undelivered.NOT_CONNECTED);
    }
    return work;
  }

  /**
   * Sends at most {@code frameLimit} frames, none without a connection. Waits for no rows: a batch
   * whose rows are on their way keeps its place. Returns the work done.
   *
   * @param epoch asked for each batch after it was taken from the queue: whoever began an epoch
   *     before offering it is heard
   */
  int send(IntSupplier epoch, int frameLimit) {
    if (!isConnected) {
      return 0;
    }
    int frames = 0;
    while (frames < frameLimit && hasRows(epoch)) {
      long position = sendChunk();
      if (position < 0) {
        onRefusal(position);
        break;
      }
      frames++;
    }
    return frames;
  }

  /** Gives back what it has begun and, if it is the first, all that waits. */
  void discard(Undelivered reason) {
    if (batch != null) {
      giveUp(reason);
    }
    while (isFirst && (batch = peer.queue().poll()) != null) {
      giveUp(reason);
    }
  }

  /** Closes the publication; what Aeron has taken may still be delivered. */
  void close() {
    if (isFirst) {
      peer.connected(false);
    }
    forget();
    if (isFirst && !client.isOwn()) {
      client.close();
    }
  }

  private boolean isConnected(long nowNs) {
    if (client.aeron() != opener || publication != null && publication.isClosed()) {
      forget();
    }
    return (publication != null || open(nowNs)) && publication.isConnected();
  }

  /** Tells what has changed since the last round. */
  private boolean connected(boolean isNow) {
    if (isNow != isConnected) {
      isConnected = isNow;
      if (isNow) {
        restartBatch();
      }
      if (isFirst) {
        tell();
      }
    }
    return isNow;
  }

  private void tell() {
    peer.connected(isConnected);
    if (isConnected) {
      events.onConnected(peer.node());
    } else {
      events.onDisconnected(peer.node());
    }
  }

  private boolean open(long nowNs) {
    opener = client.aeron();
    if (opener == null || nextOpenNs - nowNs > 0) {
      return false;
    }
    try {
      if (registrationId == Aeron.NULL_VALUE) {
        registrationId = opener.asyncAddExclusivePublication(route.channel(), peer.node());
      }
      publication = opener.getExclusivePublication(registrationId);
      hasOpenFailed &= publication == null;
    } catch (AeronException e) {
      registrationId = Aeron.NULL_VALUE;
      nextOpenNs = nowNs + REOPEN_INTERVAL_NS;
      if (!hasOpenFailed) {
        hasOpenFailed = true;
        events.onError(e);
      }
    }
    return publication != null;
  }

  /** Lets go of the publication, of one that was asked for as well. */
  private void forget() {
    CloseHelper.quietClose(publication);
    boolean isAskedFor = publication == null && registrationId != Aeron.NULL_VALUE;
    if (isAskedFor && client.aeron() == opener && opener != null && !opener.isClosed()) {
      opener.asyncRemovePublication(registrationId);
    }
    publication = null;
    registrationId = Aeron.NULL_VALUE;
  }

  /**
   * What was on its way when the connection broke may be lost. Under a new number, for the receiver
   * may have given up the old.
   */
  private void restartBatch() {
    id = ids.get();
    sentBytes = 0;
  }

  private boolean hasRows(IntSupplier epoch) {
    while (rows == null) {
      if (batch == null) {
        batch = peer.queue().poll();
      }
      if (batch == null || !begin(epoch.getAsInt())) {
        return false;
      }
    }
    return true;
  }

  /** Begins the batch or gives it up; returns false if its rows are not here yet. */
  private boolean begin(int epoch) {
    if (batch.header().epoch() < epoch) {
      giveUp(Undelivered.OLD_EPOCH);
      return true;
    }
    try {
      if (!batch.payload().isReady()) {
        return false;
      }
      restartBatch();
      rows = batch.payload().bytes();
    } catch (RuntimeException e) {
      giveUpUnreadable(e);
    }
    return true;
  }

  private long sendChunk() {
    int stride = FrameFlyweight.strideFor(publication.maxPayloadLength());
    int chunkLength = FrameEncoder.chunkLength(stride, batch.bytes(), sentBytes);
    int length = FrameFlyweight.HEADER_LENGTH + chunkLength;
    long position = publication.tryClaim(length, claim);
    if (position < 0) {
      return position;
    }
    try {
      FrameEncoder.encode(
          memory,
          claim.buffer(),
          claim.offset(),
          route.way(),
          batch.header(),
          id,
          stride,
          rows,
          sentBytes);
    } catch (RuntimeException e) {
      // The sender took its memory back: another thread's arena, or one that is closed.
      claim.abort();
      giveUpUnreadable(e);
      return position;
    }
    claim.commit();
    sentBytes += chunkLength;
    if (sentBytes == batch.bytes()) {
      finish();
    }
    return position;
  }

  /**
   * BACK_PRESSURED and ADMIN_ACTION pass by themselves; NOT_CONNECTED and CLOSED are seen at the
   * next round.
   */
  private void onRefusal(long position) {
    if (position == Publication.MAX_POSITION_EXCEEDED) {
      connected(false);
      forget();
    }
  }

  private void finish() {
    counters.of(route.way()).sent(batch.bytes());
    release();
  }

  private void giveUpUnreadable(RuntimeException cause) {
    events.onError(cause);
    giveUp(Undelivered.UNREADABLE);
  }

  private void giveUp(Undelivered reason) {
    BatchHeader header = batch.header();
    release();
    events.onUndelivered(peer.node(), header, reason);
  }

  private void release() {
    Outbound released = batch;
    batch = null;
    rows = null;
    try {
      released.payload().release();
    } catch (RuntimeException e) {
      events.onError(e);
    } finally {
      peer.queue().done(released);
    }
  }
}
