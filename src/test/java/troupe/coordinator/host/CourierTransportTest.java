package troupe.coordinator.host;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.time.Duration;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import troupe.Eventually;
import troupe.core.tensor.DType;
import troupe.transport.BatchReceiver;
import troupe.transport.InProcessTransport;
import troupe.transport.NodeTransport;
import troupe.transport.Phase;
import troupe.transport.Transport;
import troupe.transport.TransportEvents;
import troupe.transport.TransportSettings;
import troupe.transport.TransportSettings.Mode;

/** Shards travel over every real way, with the threads that a node has. */
final class CourierTransportTest {
  private static final long RUN_ID = 78;
  private static final int EPOCH = 2;
  private static final int NODE = 4;

  private final ShardCatalog catalog = new ShardCatalog(Fixtures.chunked(), DType.F32);
  private final ShardMemory memory = new ShardMemory(catalog);
  private final Map<String, byte[]> arrived = new ConcurrentHashMap<>();
  private final CopyOnWriteArrayList<String> undelivered = new CopyOnWriteArrayList<>();
  private final AtomicReference<Courier> courier = new AtomicReference<>();

  private enum Way {
    INPROCESS,
    IPC,
    UDP;

    Transport open(BatchReceiver receiver) {
      return switch (this) {
        case INPROCESS -> new InProcessTransport(NODE, receiver);
        case IPC -> aeron(Mode.IPC, receiver);
        case UDP -> aeron(Mode.UDP, receiver);
      };
    }

    private static Transport aeron(Mode mode, BatchReceiver receiver) {
      return NodeTransport.open(
          TransportSettings.of(RUN_ID, NODE, mode), receiver, TransportEvents.NONE);
    }
  }

  @ParameterizedTest
  @EnumSource
  void shouldDeliverEveryShardWhole(Way way) throws Exception {
    Map<String, byte[]> expected = new ConcurrentHashMap<>();
    try (ScheduledExecutorService owner = Executors.newSingleThreadScheduledExecutor()) {
      Arrivals arrivals = new Arrivals(RUN_ID, memory, new Confirming(owner));
      arrivals.epoch(EPOCH);
      try (Transport transport = way.open(arrivals)) {
        transport.setEpoch(EPOCH);
        Future<?> sent =
            owner.submit(
                () -> {
                  courier.set(
                      new Courier(
                          transport,
                          catalog,
                          new Courier.Settings(RUN_ID, Duration.ofSeconds(20), 2),
                          owner::execute,
                          System::nanoTime,
                          (node, phase, shard, step) -> undelivered.add(shard + " " + step)));
                  courier.get().epoch(EPOCH);
                  for (ShardId shard : catalog.shards()) {
                    ShardCopy copy = Fixtures.random(memory, shard, 6, 1);
                    expected.put(Phase.CHECKPOINT + " of " + copy, Fixtures.bytes(copy));
                    courier.get().send(NODE, Phase.CHECKPOINT, copy);
                  }
                });
        owner.scheduleWithFixedDelay(() -> courier.get().tick(), 1, 1, TimeUnit.MILLISECONDS);
        sent.get(60, TimeUnit.SECONDS);
        Eventually.await("all shards", () -> arrived.size() == expected.size());
        Eventually.await("all confirmed", () -> ask(owner, () -> courier.get().isIdle()));
        Eventually.await("all memory", () -> memory.heldBytes() == 0);
      }
      owner.shutdownNow();
    }
    expected.forEach((what, bytes) -> assertArrayEquals(bytes, arrived.get(what), what));
    assertEquals(expected.keySet(), arrived.keySet());
    assertEquals(0, undelivered.size(), undelivered::toString);
  }

  private static boolean ask(
      ScheduledExecutorService owner, java.util.concurrent.Callable<Boolean> question) {
    try {
      return owner.submit(question).get(60, TimeUnit.SECONDS);
    } catch (Exception e) {
      throw new AssertionError(e);
    }
  }

  /** Confirms as another host would: by a message to the owner of the courier. */
  private final class Confirming implements Arrivals.Listener {
    private final ScheduledExecutorService owner;

    Confirming(ScheduledExecutorService owner) {
      this.owner = owner;
    }

    @Override
    public void onWhole(int epoch, Phase phase, ShardCopy copy) {
      arrived.put(phase + " of " + copy, Fixtures.bytes(copy));
      confirm(epoch, phase, copy.shard(), copy.step());
      copy.release();
    }

    @Override
    public void onRepeated(int epoch, Phase phase, ShardId shard, long step) {
      confirm(epoch, phase, shard, step);
    }

    private void confirm(int epoch, Phase phase, ShardId shard, long step) {
      owner.execute(() -> courier.get().confirm(new Host.Arrived(epoch, shard, step, phase, NODE)));
    }
  }
}
