package troupe.coordinator;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import akka.actor.testkit.typed.javadsl.ActorTestKit;
import akka.actor.testkit.typed.javadsl.TestProbe;
import akka.actor.typed.ActorRef;
import akka.actor.typed.DispatcherSelector;
import akka.actor.typed.javadsl.Behaviors;
import com.typesafe.config.ConfigFactory;
import org.junit.jupiter.api.Test;

class AkkaSettingsTest {
  @Test
  void shouldRunComputeOnThreadsOfItsOwn() {
    ActorTestKit kit = ActorTestKit.create("settings", ConfigFactory.load());
    try {
      String compute = threadOf(kit, DispatcherSelector.fromConfig("troupe.compute-dispatcher"));
      String control = threadOf(kit, DispatcherSelector.defaultDispatcher());
      assertEquals("settings-troupe.compute-dispatcher", compute);
      assertNotEquals(control, compute);
      assertEquals(
          "off", kit.system().settings().config().getString("akka.coordinated-shutdown.exit-jvm"));
    } finally {
      kit.shutdownTestKit();
    }
  }

  /** The name, without its number, of the thread on which an actor of this dispatcher runs. */
  private static String threadOf(ActorTestKit kit, DispatcherSelector dispatcher) {
    TestProbe<String> probe = kit.createTestProbe();
    ActorRef<Integer> actor =
        kit.spawn(
            Behaviors.receiveMessage(
                message -> {
                  probe.getRef().tell(Thread.currentThread().getName());
                  return Behaviors.same();
                }),
            dispatcher);
    actor.tell(1);
    return probe.receiveMessage().replaceFirst("-\\d+$", "");
  }
}
