package troupe.transport;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import java.util.function.IntConsumer;
import java.util.function.IntSupplier;
import org.agrona.concurrent.ManyToOneConcurrentLinkedQueue;
import org.agrona.concurrent.NanoClock;
import troupe.transport.TransportEvents.Undelivered;

/**
 * The sending side: goes round the peers and lets each send a few frames, so that none waits for
 * another.
 */
final class SendSide {
  /**
   * Small enough that what was just written is still in the cache when this machine reads it back
   * from shared memory.
   */
  private static final int FRAMES_A_ROUND = 4;

  private final ManyToOneConcurrentLinkedQueue<Peer> added = new ManyToOneConcurrentLinkedQueue<>();
  private final List<PeerSender> senders = new ArrayList<>();
  private final Function<Peer, PeerSender> senderOf;
  private final IntSupplier epoch;
  private final NanoClock clock;
  private final IntConsumer whenRemoved;

  /**
   * A side without peers.
   *
   * @param whenRemoved told the node of each peer that is removed, after what waits for it was
   *     given back
   */
  SendSide(
      Function<Peer, PeerSender> senderOf,
      IntSupplier epoch,
      NanoClock clock,
      IntConsumer whenRemoved) {
    this.senderOf = senderOf;
    this.epoch = epoch;
    this.clock = clock;
    this.whenRemoved = whenRemoved;
  }

  /** From any thread: the next round includes this peer. */
  void add(Peer peer) {
    added.add(peer);
  }

  /** A whole round: keeps connections, may wait for Aeron's driver, and sends. */
  int doWork() {
    admit();
    long nowNs = clock.nanoTime();
    int work = 0;
    for (int i = senders.size() - 1; i >= 0; i--) {
      PeerSender sender = senders.get(i);
      if (sender.peer().isRemoved()) {
        dismiss(sender, Undelivered.PEER_REMOVED);
        senders.remove(i);
        whenRemoved.accept(sender.peer().node());
        work++;
      } else {
        work += sender.keepConnected(nowNs) + sender.send(epoch, FRAMES_A_ROUND);
      }
    }
    return work;
  }

  /** The part of a round that never waits: sends to whoever is connected. Returns the work done. */
  int send() {
    int frames = 0;
    for (int i = senders.size() - 1; i >= 0; i--) {
      frames += senders.get(i).send(epoch, FRAMES_A_ROUND);
    }
    return frames;
  }

  /** Gives back what was never sent. The queues let nothing more in by now. */
  void close() {
    admit();
    senders.forEach(sender -> dismiss(sender, Undelivered.CLOSED));
    senders.clear();
  }

  private void admit() {
    Peer peer;
    while ((peer = added.poll()) != null) {
      senders.add(senderOf.apply(peer));
    }
  }

  private static void dismiss(PeerSender sender, Undelivered reason) {
    sender.discard(reason);
    sender.close();
  }
}
