package troupe.coordinator.host;

import static org.junit.jupiter.api.Assertions.assertEquals;

import akka.actor.testkit.typed.javadsl.ActorTestKit;
import akka.actor.testkit.typed.javadsl.TestProbe;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import troupe.coordinator.placement.ExpertId;
import troupe.coordinator.run.Runs;
import troupe.core.config.RunConfig;
import troupe.core.tensor.Device;
import troupe.core.tensor.Devices;
import troupe.expert.ExpertActor;
import troupe.expert.network.TensorPayload;
import troupe.router.RouterActor;
import troupe.transport.BatchHeader;
import troupe.transport.InProcessTransport;
import troupe.transport.Phase;
import troupe.transport.TransportCounters.Traffic;

class NodeReceiverTest {
  private static final ActorTestKit KIT = ActorTestKit.create();
  private static final int WIDTH = 16;

  @AfterAll
  static void stop() {
    KIT.shutdownTestKit();
  }

  @ParameterizedTest
  @EnumSource(names = {"FORWARD", "OUTPUT", "TRUNK_GRADIENT"})
  void shouldCountWhatGoesToAnotherDeviceOfTheProcessByItself(Phase phase) {
    RunConfig config = Runs.tiny();
    TestProbe<RouterActor.Command> router = KIT.createTestProbe();
    TestProbe<ExpertActor.Command> expert = KIT.createTestProbe();
    try (Device here = Devices.open("reference");
        Device there = Devices.open("reference")) {
      NodeReceiver receiver = new NodeReceiver(here, config);
      receiver.connect(
          Map.of(1, new NodeReceiver.Owner<>(router.ref(), there)),
          Map.of(new ExpertId(0, 1), new NodeReceiver.Owner<>(expert.ref(), there)));
      InProcessTransport transport = new InProcessTransport(0, receiver);
      BatchHeader header =
          new BatchHeader(1, 1, 1, 0, 0, 1, 1, phase, here.dtype().code(), 2, WIDTH);
      long bytes = header.payloadBytes();
      transport.offer(0, header, TensorPayload.given(there.zeros(2, WIDTH)));
      assertEquals(new Traffic(1, bytes, 1, bytes), transport.counters().handOff());
      assertEquals(Traffic.NONE, transport.counters().peerCopy());
      transport.offer(0, header, TensorPayload.given(here.zeros(2, WIDTH)));
      assertEquals(new Traffic(1, bytes, 1, bytes), transport.counters().handOff());
      assertEquals(new Traffic(1, bytes, 1, bytes), transport.counters().peerCopy());
      assertEquals(2 * bytes, transport.counters().bytesSent());
    }
  }
}
