package troupe.coordinator.host;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import troupe.transport.BatchHeader;
import troupe.transport.BatchReceiver;
import troupe.transport.Payload;
import troupe.transport.Transport;
import troupe.transport.TransportCounters;

/**
 * A network that loses, doubles and mixes up what it carries, has no room at times, and gives
 * payloads back late; all by its seed. For one thread: something happens in {@link #step} only.
 */
final class LossyNetwork implements Transport {
  private static final double NO_ROOM = 0.1;
  private static final double NO_CONNECTION = 0.1;
  private static final double LOST = 0.1;
  private static final double TWICE = 0.2;
  private static final double ABANDONED = 0.05;

  private final Random random;
  private final Map<Integer, BatchReceiver> receivers = new HashMap<>();
  private final List<Outgoing> outgoing = new ArrayList<>();
  private final List<Packet> wire = new ArrayList<>();
  private final List<Incoming> incoming = new ArrayList<>();
  private int mostWaiting;
  private int numLost;

  private record Outgoing(int node, BatchHeader header, Payload payload) {}

  private record Packet(int node, BatchHeader header, byte[] bytes) {}

  private record Incoming(int node, BatchHeader header, byte[] bytes, Payload place) {}

  LossyNetwork(Random random) {
    this.random = random;
  }

  void connect(int node, BatchReceiver receiver) {
    receivers.put(node, receiver);
  }

  @Override
  public Offer offer(int node, BatchHeader header, Payload payload) {
    if (!receivers.containsKey(node) || random.nextDouble() < NO_CONNECTION) {
      return Offer.NOT_CONNECTED;
    }
    if (random.nextDouble() < NO_ROOM) {
      return Offer.BACK_PRESSURED;
    }
    outgoing.add(new Outgoing(node, header, payload));
    int waiting = (int) outgoing.stream().filter(it -> it.node == node).count();
    mostWaiting = Math.max(mostWaiting, waiting);
    return Offer.ACCEPTED;
  }

  /** The most payloads for one node that were accepted and not released. */
  int mostWaiting() {
    return mostWaiting;
  }

  int numLost() {
    return numLost;
  }

  boolean isEmpty() {
    return outgoing.isEmpty() && wire.isEmpty() && incoming.isEmpty();
  }

  /** One thing happens to something, if there is anything. */
  void step() {
    switch (random.nextInt(3)) {
      case 0 -> take(outgoing, this::send);
      case 1 -> take(wire, this::begin);
      default -> take(incoming, this::complete);
    }
  }

  private <T> void take(List<T> from, java.util.function.Consumer<T> what) {
    if (!from.isEmpty()) {
      what.accept(from.remove(random.nextInt(from.size())));
    }
  }

  private void send(Outgoing batch) {
    byte[] bytes = batch.payload.bytes().toArray(ValueLayout.JAVA_BYTE);
    batch.payload.release();
    if (random.nextDouble() < LOST) {
      numLost++;
      return;
    }
    wire.add(new Packet(batch.node, batch.header, bytes));
    if (random.nextDouble() < TWICE) {
      wire.add(new Packet(batch.node, batch.header, bytes));
    }
  }

  private void begin(Packet packet) {
    Payload place = receivers.get(packet.node).allocate(packet.header);
    if (place != null) {
      incoming.add(new Incoming(packet.node, packet.header, packet.bytes, place));
    }
  }

  private void complete(Incoming batch) {
    batch.place.bytes().copyFrom(MemorySegment.ofArray(batch.bytes));
    if (random.nextDouble() < ABANDONED) {
      numLost++;
      batch.place.release();
    } else {
      receivers.get(batch.node).onBatch(batch.header, batch.place);
    }
  }

  @Override
  public void setEpoch(int epoch) {}

  @Override
  public TransportCounters counters() {
    throw new UnsupportedOperationException("counters");
  }

  @Override
  public void close() {}
}
