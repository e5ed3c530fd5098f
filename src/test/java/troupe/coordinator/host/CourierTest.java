package troupe.coordinator.host;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import troupe.core.tensor.DType;
import troupe.transport.Phase;

/** Shards travel whole over a network that does everything that it may. */
final class CourierTest {
  private static final long RUN_ID = 77;
  private static final int EPOCH = 3;
  private static final int MANY = 1000;

  private final ShardCatalog catalog = new ShardCatalog(Fixtures.chunked(), DType.F32);
  private final ShardMemory senderMemory = new ShardMemory(catalog);
  private final ShardMemory receiverMemory = new ShardMemory(catalog);
  private final Deque<Runnable> mailbox = new ArrayDeque<>();
  private final List<String> undelivered = new ArrayList<>();
  private long nowNs;

  private Courier courier(LossyNetwork network, Duration timeout, int attempts) {
    Courier courier =
        new Courier(
            network,
            catalog,
            new Courier.Settings(RUN_ID, timeout, attempts),
            mailbox::add,
            () -> nowNs,
            (node, phase, shard, step) ->
                undelivered.add(node + " " + phase + " " + shard + " " + step));
    courier.epoch(EPOCH);
    return courier;
  }

  /** A node that keeps what arrives, and whose confirmations are lost at times. */
  private final class Receiver implements Arrivals.Listener {
    final int node;
    final Random random;
    final Courier courier;
    final Map<String, byte[]> whole = new HashMap<>();
    final Arrivals arrivals = new Arrivals(RUN_ID, receiverMemory, this);

    Receiver(int node, Random random, Courier courier) {
      this.node = node;
      this.random = random;
      this.courier = courier;
      arrivals.epoch(EPOCH);
    }

    @Override
    public void onWhole(int epoch, Phase phase, ShardCopy copy) {
      byte[] before = whole.put(phase + " of " + copy, Fixtures.bytes(copy));
      assertEquals(null, before, "said twice: " + copy);
      confirm(epoch, phase, copy.shard(), copy.step());
      copy.release();
    }

    @Override
    public void onRepeated(int epoch, Phase phase, ShardId shard, long step) {
      confirm(epoch, phase, shard, step);
    }

    private void confirm(int epoch, Phase phase, ShardId shard, long step) {
      if (random.nextDouble() < 0.7) {
        Host.Arrived arrived = new Host.Arrived(epoch, shard, step, phase, node);
        mailbox.add(() -> courier.confirm(arrived));
      }
    }
  }

  private void runMailbox() {
    for (Runnable task = mailbox.poll(); task != null; task = mailbox.poll()) {
      task.run();
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void shouldDeliverEveryShardWholeOverALossyNetwork(long seed) {
    String hint = "seed " + seed;
    Random random = new Random(seed);
    LossyNetwork network = new LossyNetwork(random);
    Courier courier = courier(network, Duration.ofMillis(200), MANY);
    List<Receiver> receivers =
        List.of(new Receiver(1, random, courier), new Receiver(2, random, courier));
    receivers.forEach(receiver -> network.connect(receiver.node, receiver.arrivals));
    Map<String, byte[]> expected = new HashMap<>();
    for (long step = 1; step <= 2; step++) {
      for (ShardId shard : catalog.shards()) {
        ShardCopy copy = Fixtures.random(senderMemory, shard, step, seed);
        expected.put(Phase.REPLICA + " of " + copy, Fixtures.bytes(copy));
        courier.send(1, Phase.REPLICA, copy.retain());
        courier.send(2, Phase.REPLICA, copy);
      }
      assertEquals(2 * catalog.shards().size(), courier.pending(Phase.REPLICA, step));
      for (int i = 0; !(courier.isIdle() && network.isEmpty()); i++) {
        assertTrue(i < 1_000_000, "not idle, " + hint);
        network.step();
        runMailbox();
        nowNs += 1_000_000;
        courier.tick();
      }
    }

    for (Receiver receiver : receivers) {
      assertEquals(expected.keySet(), receiver.whole.keySet(), hint);
      expected.forEach(
          (what, bytes) -> assertArrayEquals(bytes, receiver.whole.get(what), what + ", " + hint));
      receiver.arrivals.close();
    }
    assertEquals(2, network.mostWaiting(), hint);
    assertTrue(network.numLost() > 0, hint);
    assertEquals(List.of(), undelivered, hint);
    assertEquals(0, senderMemory.heldBytes(), hint);
    assertEquals(0, receiverMemory.heldBytes(), hint);
  }

  @Test
  void shouldGiveUpOnANodeThatIsGone() {
    LossyNetwork network = new LossyNetwork(new Random(4));
    Courier courier = courier(network, Duration.ofMillis(10), 3);
    courier.send(9, Phase.RESTORE, senderMemory.allocate(ShardId.trunk(), 5));
    courier.send(9, Phase.RESTORE, senderMemory.allocate(ShardId.moments(1), 5));
    int ticks = 0;
    for (; !courier.isIdle(); ticks++) {
      assertTrue(ticks < MANY, "ticks: " + ticks);
      nowNs += 1_000_000;
      courier.tick();
    }
    assertEquals(List.of("9 RESTORE trunk 5", "9 RESTORE moments of rank 1 5"), undelivered);
    assertTrue(ticks > 3 * 10, "ticks: " + ticks);
    assertEquals(0, senderMemory.heldBytes());
  }

  @Test
  void shouldAbandonAtANewEpochButFreeOnlyWhatNobodyReads() {
    Random random = new Random(5);
    LossyNetwork network = new LossyNetwork(random);
    network.connect(1, new Arrivals(RUN_ID, receiverMemory, new Receiver(1, random, null)));
    Courier courier = courier(network, Duration.ofSeconds(1), MANY);
    ShardCopy trunk = senderMemory.allocate(ShardId.trunk(), 5);
    courier.send(1, Phase.REPLICA, trunk);
    courier.send(1, Phase.REPLICA, senderMemory.allocate(ShardId.moments(0), 5));
    while (network.mostWaiting() < Courier.WINDOW) {
      courier.tick();
    }
    courier.epoch(EPOCH + 1);
    assertTrue(courier.isIdle());
    assertEquals(catalog.bytes(ShardId.trunk()), senderMemory.heldBytes());
    trunk.bytes().fill((byte) 1);
    assertFalse(
        courier.confirm(new Host.Arrived(EPOCH, ShardId.trunk(), 5, Phase.REPLICA, 1)),
        "of an epoch that is over");
    while (!network.isEmpty()) {
      network.step();
    }
    runMailbox();
    assertEquals(0, senderMemory.heldBytes());
    assertEquals(0, receiverMemory.heldBytes(), "no epoch has begun there");
    assertEquals(List.of(), undelivered);
  }

  @Test
  void shouldSendOnceWhatIsAskedForTwice() {
    Random random = new Random(6);
    LossyNetwork network = new LossyNetwork(random);
    Courier courier = courier(network, Duration.ofSeconds(1), MANY);
    ShardCopy copy = senderMemory.allocate(ShardId.trunk(), 5);
    courier.send(1, Phase.RESTORE, copy.retain());
    courier.send(1, Phase.RESTORE, copy.retain());
    assertEquals(1, courier.pending(Phase.RESTORE, 5));
    Host.Arrived arrived = new Host.Arrived(EPOCH, ShardId.trunk(), 5, Phase.RESTORE, 1);
    assertTrue(courier.confirm(arrived));
    assertFalse(courier.confirm(arrived));
    assertTrue(courier.isIdle());
    copy.release();
    assertEquals(0, senderMemory.heldBytes());
  }

  @Test
  void shouldLetItsListenerBeginAnEpoch() {
    LossyNetwork network = new LossyNetwork(new Random(8));
    Courier[] courier = new Courier[1];
    courier[0] =
        new Courier(
            network,
            catalog,
            new Courier.Settings(RUN_ID, Duration.ofMillis(10), 1),
            mailbox::add,
            () -> nowNs,
            (node, phase, shard, step) -> courier[0].epoch(EPOCH + 1));
    courier[0].epoch(EPOCH);
    Arrivals refusing = new Arrivals(RUN_ID, receiverMemory, new Receiver(1, new Random(), null));
    network.connect(1, refusing);
    courier[0].send(1, Phase.REPLICA, senderMemory.allocate(ShardId.moments(0), 5));
    courier[0].send(1, Phase.REPLICA, senderMemory.allocate(ShardId.moments(1), 5));
    for (int i = 0; i < MANY && !courier[0].isIdle(); i++) {
      network.step();
      runMailbox();
      courier[0].tick();
      // Late all at once: only when both have been sent.
      nowNs += network.isEmpty() && i > MANY / 2 ? 1_000_000_000 : 0;
    }
    assertTrue(courier[0].isIdle());
    assertEquals(0, senderMemory.heldBytes());
  }
}
