package troupe.simulation;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import troupe.transport.BatchHeader;
import troupe.transport.BatchReceiver;
import troupe.transport.Payload;
import troupe.transport.Transport;
import troupe.transport.TransportCounters;

/**
 * A node's end of the simulated data plane. A batch leaves some time after it was accepted: only
 * then are its rows read and its payload released, as on a real wire. It arrives later still, or
 * twice, or never; batches overtake one another.
 *
 * <p>Rows of an epoch that has ended somewhere in the cluster arrive as garbage: whoever uses them
 * for anything that lasts ends with other parameters than an undisturbed run.
 */
final class SimulatedTransport implements Transport {
  /** Batches to one node that were accepted and have not left. */
  private static final int QUEUE_LIMIT = 64;

  private static final double GARBAGE = 1e3;

  private final EventLoop loop;
  private final SimulatedNetwork network;
  private final int node;
  private final BatchReceiver receiver;
  private int queued;
  private int epoch = Integer.MIN_VALUE;
  private boolean closed;
  private long batchesSent;
  private long batchesReceived;
  private long bytesSent;
  private long bytesReceived;
  private long backPressured;
  private long foreign;
  private long refused;

  SimulatedTransport(EventLoop loop, SimulatedNetwork network, int node, BatchReceiver receiver) {
    this.loop = loop;
    this.network = network;
    this.node = node;
    this.receiver = receiver;
  }

  @Override
  public Offer offer(int to, BatchHeader header, Payload payload) {
    if (payload.bytes().byteSize() != header.payloadBytes()) {
      throw new IllegalArgumentException(
          "payload bytes: %d (expected: %d, for %s)"
              .formatted(payload.bytes().byteSize(), header.payloadBytes(), header));
    }
    if (closed) {
      return Offer.CLOSED;
    }
    if (network.of(to) == null) {
      return Offer.NOT_CONNECTED;
    }
    long key = keyOf(to, header);
    if (queued == QUEUE_LIMIT || loop.conditions().refuses(key)) {
      backPressured++;
      return Offer.BACK_PRESSURED;
    }
    if (to == node && loop.conditions().handsOver()) {
      trace("handed over", header);
      receiver.onBatch(header, payload);
      return Offer.ACCEPTED;
    }
    queued++;
    loop.post(
        loop.nowNs() + loop.conditions().computeNs(key), node, () -> depart(to, header, payload));
    return Offer.ACCEPTED;
  }

  private void depart(int to, BatchHeader header, Payload payload) {
    queued--;
    if (closed || header.epoch() < epoch) {
      payload.release();
      return;
    }
    byte[] rows = read(header, payload);
    payload.release();
    batchesSent++;
    bytesSent += rows.length;
    Conditions conditions = loop.conditions();
    long key = keyOf(to, header);
    if (conditions.losesBatch(node, to, key)) {
      trace("lost", header);
      return;
    }
    SimulatedTransport peer = network.of(to);
    int copies = conditions.duplicates(key) ? 2 : 1;
    for (int copy = 0; copy < copies; copy++) {
      loop.post(
          loop.nowNs() + conditions.batchNs(key),
          to,
          () -> {
            if (!conditions.isCut(node, to)) {
              peer.arrive(header, rows);
            }
          });
    }
  }

  /**
   * The rows as they are by now. Lent ones may be gone: then others are in their place, and whoever
   * gets them must not care.
   */
  private byte[] read(BatchHeader header, Payload payload) {
    try {
      return payload.bytes().toArray(ValueLayout.JAVA_BYTE);
    } catch (IllegalStateException gone) {
      trace("gone", header);
      byte[] rows = new byte[Math.toIntExact(header.payloadBytes())];
      spoil(header, MemorySegment.ofArray(rows));
      return rows;
    }
  }

  private void arrive(BatchHeader header, byte[] rows) {
    if (closed || header.epoch() < epoch) {
      foreign++;
      return;
    }
    Payload payload = receiver.allocate(header);
    if (payload == null) {
      refused++;
      trace("refused", header);
      return;
    }
    MemorySegment.copy(MemorySegment.ofArray(rows), 0, payload.bytes(), 0, rows.length);
    if (network.isStale(header)) {
      trace("stale", header);
      spoil(header, payload.bytes());
    }
    batchesReceived++;
    bytesReceived += rows.length;
    trace("arrived", header);
    receiver.onBatch(header, payload);
  }

  private static void spoil(BatchHeader header, MemorySegment rows) {
    for (long i = 0; i < (long) header.rows() * header.columns(); i++) {
      if (header.dtypeCode() == 2) {
        rows.setAtIndex(ValueLayout.JAVA_DOUBLE_UNALIGNED, i, GARBAGE + i);
      } else {
        rows.setAtIndex(ValueLayout.JAVA_FLOAT_UNALIGNED, i, (float) GARBAGE + i);
      }
    }
  }

  private void trace(String what, BatchHeader header) {
    Trace trace = loop.trace();
    trace.add(loop.nowNs(), node, "transport", what, header);
    trace.mix(keyOf(node, header));
  }

  /** Of a batch, the same in every process. */
  private long keyOf(int to, BatchHeader header) {
    return KeyedDraws.key(
        node,
        to,
        header.phase().code(),
        header.step(),
        header.layer(),
        header.microBatch(),
        header.rank(),
        header.expert());
  }

  /** The epoch below which batches are dropped. */
  int epoch() {
    return epoch;
  }

  int node() {
    return node;
  }

  @Override
  public void setEpoch(int newEpoch) {
    epoch = Math.max(epoch, newEpoch);
  }

  @Override
  public TransportCounters counters() {
    return new TransportCounters(
        TransportCounters.Traffic.NONE,
        TransportCounters.Traffic.NONE,
        TransportCounters.Traffic.NONE,
        TransportCounters.Traffic.NONE,
        new TransportCounters.Traffic(batchesSent, bytesSent, batchesReceived, bytesReceived),
        backPressured,
        0,
        0,
        foreign,
        0,
        refused,
        0,
        0,
        0,
        0,
        0);
  }

  @Override
  public void close() {
    closed = true;
  }
}
