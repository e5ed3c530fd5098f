package troupe.coordinator.wire;

import akka.actor.typed.ActorRef;
import akka.actor.typed.ActorRefResolver;
import akka.actor.typed.ActorSystem;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;

/** Sends bytes to a node that claim to be control messages, from a system outside its cluster. */
public final class MessageGun implements AutoCloseable {
  /** Artery's queue holds 3072 and drops the rest. */
  private static final int BURST = 500;

  private final ActorSystem<Void> system =
      WireSystems.start("stranger", Forged.Serializer.SETTINGS);
  private final List<WireType> messages =
      WireTypes.ALL.stream().filter(WireType::isMessage).toList();
  private final SplittableRandom random;

  /** A gun that does the same for the same seed. */
  public MessageGun(long seed) {
    random = new SplittableRandom(seed);
  }

  /** Sends {@code count} messages to the host of the node at {@code HOST:PORT}. */
  public void fire(String address, int count) throws InterruptedException {
    ActorRef<Object> host =
        ActorRefResolver.get(system).resolveActorRef("akka://troupe@" + address + "/user/host");
    for (int i = 1; i <= count; i++) {
      byte[] bytes = new byte[random.nextInt(200)];
      random.nextBytes(bytes);
      int id = messages.get(random.nextInt(messages.size())).id();
      String manifest = id + "@" + (random.nextBoolean() ? WireTypes.fingerprint() : "0");
      host.tell(new Forged(manifest, bytes));
      if (i % BURST == 0) {
        TimeUnit.MILLISECONDS.sleep(20);
      }
    }
  }

  @Override
  public void close() {
    system.terminate();
    system.getWhenTerminated().toCompletableFuture().orTimeout(30, TimeUnit.SECONDS).join();
  }
}
