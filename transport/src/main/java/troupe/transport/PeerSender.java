package troupe.transport;

import io.aeron.Aeron;
import io.aeron.ExclusivePublication;
import io.aeron.Publication;
import io.aeron.exceptions.AeronException;
import io.aeron.logbuffer.BufferClaim;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.NoSuchFileException;
import java.util.ArrayDeque;
import java.util.function.IntSupplier;
import java.util.function.Supplier;
import org.agrona.CloseHelper;
import troupe.transport.Returns.Answer;
import troupe.transport.TransportEvents.Undelivered;

/**
 * Sends what waits for one node, batch after batch, chunk after chunk; one copy from the rows into
 * the log of the publication. Of rows that the other process can copy itself a notice is sent, and
 * they are lent until it has them. Used by one thread at a time. What Aeron does not take now is
 * tried again in the next round.
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

  /** Null if the node cannot copy rows from where they are. */
  private final Loans loans;

  /** What was lent and could not be reached. */
  private final ArrayDeque<Outbound> toSend = new ArrayDeque<>();

  private Outbound batch;

  /** Of the batch; null while they are on their way from a device, or if they are lent. */
  private MemorySegment rows;

  /** Of the batch, if its rows are lent. */
  private Notice notice;

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
    this.loans =
        peer.picksUp() ? new Loans(settings.node(), peer.endpoint().driver().getParent()) : null;
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
    } else if (client.isDead()) {
      discard(Undelivered.NOT_CONNECTED);
      recall();
    } else if (nowNs - lastConnectedNs > settings.connectTimeout().toNanos()) {
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
    int returned = loans == null ? 0 : loans.settle(this::onReturn);
    if (!isConnected) {
      return returned;
    }
    int frames = 0;
    while (frames < frameLimit && hasBatch(epoch)) {
      long position = notice == null ? sendChunk() : sendNotice();
      if (position < 0) {
        onRefusal(position);
        break;
      }
      frames++;
    }
    return returned + frames;
  }

  private void onReturn(Outbound lent, Answer answer) {
    if (answer == Answer.DONE) {
      releasePayload(lent);
    } else {
      peer.queue().again(lent);
      toSend.add(lent);
      cannotPickUp();
    }
  }

  private void cannotPickUp() {
    if (peer.picksUp()) {
      peer.cannotPickUp();
      events.onOutOfReach(peer.node());
    }
  }

  /** Gives back what it has begun and, if it is the first, all that waits. */
  void discard(Undelivered reason) {
    if (batch != null) {
      giveUp(reason);
    }
    while ((batch = isFirst ? next() : toSend.poll()) != null) {
      giveUp(reason);
    }
  }

  private void recall() {
    if (loans != null) {
      loans.recall(this::releasePayload);
    }
  }

  private Outbound next() {
    return toSend.isEmpty() ? peer.queue().poll() : toSend.poll();
  }

  /** Closes the publication; what Aeron has taken may still be delivered. */
  void close() {
    if (isFirst) {
      peer.connected(false);
    }
    recall();
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
      if (!hasOpenFailed && !client.isLost()) {
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

  private boolean hasBatch(IntSupplier epoch) {
    while (rows == null && notice == null) {
      if (batch == null) {
        batch = next();
      }
      if (batch == null || !begin(epoch.getAsInt())) {
        return false;
      }
    }
    return true;
  }

  /**
   * Begins the batch or gives it up; returns false if its rows are not here yet, or too much is
   * lent.
   */
  private boolean begin(int epoch) {
    if (batch.header().epoch() < epoch) {
      giveUp(Undelivered.OLD_EPOCH);
      return true;
    }
    try {
      if (!isReady(batch) || loans != null && !loans.hasRoom()) {
        return false;
      }
      restartBatch();
      notice = noticeOf(batch.payload());
      rows = notice == null ? batch.payload().bytes() : null;
    } catch (RuntimeException e) {
      giveUpUnreadable(e);
    }
    return true;
  }

  /** Whether a notice may go, or the rows. */
  private boolean isReady(Outbound next) {
    Payload payload = next.payload();
    boolean mayBeEarly = peer.picksUp() && next.header().phase().isProvisional();
    return mayBeEarly && payload.tellsWhenReady() || payload.isReady();
  }

  private Notice noticeOf(Payload payload) {
    byte[] reference = peer.picksUp() ? payload.reference() : null;
    if (reference == null) {
      return null;
    }
    try {
      return loans.notice(reference);
    } catch (NoSuchFileException e) {
      return null; // Its process has just ended.
    } catch (IOException e) {
      events.onError(e);
      cannotPickUp();
      return null;
    }
  }

  private long sendNotice() {
    int length = FrameFlyweight.HEADER_LENGTH + notice.length();
    long position = publication.tryClaim(length, claim);
    if (position >= 0) {
      FrameEncoder.encode(memory, claim.buffer(), claim.offset(), batch.header(), id, notice);
      claim.commit();
      loans.add(batch);
      // What is lent is bounded by who lends the memory.
      peer.queue().done(batch);
      counters.of(Way.PICK_UP).sent(batch.bytes());
      batch = null;
      notice = null;
    }
    return position;
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
    notice = null;
    peer.queue().done(released);
    releasePayload(released);
  }

  private void releasePayload(Outbound released) {
    try {
      released.payload().release();
    } catch (RuntimeException e) {
      events.onError(e);
    }
  }
}
