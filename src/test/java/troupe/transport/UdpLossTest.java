package troupe.transport;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aeron.driver.Configuration;
import io.aeron.driver.ext.DebugChannelEndpointConfiguration;
import io.aeron.driver.ext.DebugReceiveChannelEndpointSupplier;
import java.lang.foreign.ValueLayout;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import troupe.transport.TransportSettings.Mode;

/**
 * Aeron's own debugging endpoint throws away received packets; the properties are read when a
 * driver starts.
 */
class UdpLossTest {
  private static final Map<String, String> LOSS =
      Map.of(
          Configuration.RECEIVE_CHANNEL_ENDPOINT_SUPPLIER_PROP_NAME,
          DebugReceiveChannelEndpointSupplier.class.getName(),
          DebugChannelEndpointConfiguration.RECEIVE_DATA_LOSS_RATE_PROP_NAME,
          "0.02",
          DebugChannelEndpointConfiguration.RECEIVE_DATA_LOSS_SEED_PROP_NAME,
          "7");

  /** The same for another JVM. */
  static String[] flags() {
    return LOSS.entrySet().stream()
        .map(property -> "-D" + property.getKey() + "=" + property.getValue())
        .toArray(String[]::new);
  }

  @BeforeEach
  void lose() {
    LOSS.forEach(System::setProperty);
  }

  @AfterEach
  void stopLosing() {
    LOSS.keySet().forEach(System::clearProperty);
  }

  @ParameterizedTest(name = "threads={0}")
  @ValueSource(ints = {1, 3})
  void shouldDeliverEveryByteWhenPacketsAreLost(int threads) {
    RecordingReceiver receiver = new RecordingReceiver();
    TransportSettings settings =
        TransportSettings.of(Batches.RUN_ID, 0, Mode.UDP)
            .with(null, 8192, 1 << 20)
            .withThreads(threads, threads > 1);
    try (NodeTransport transport = NodeTransport.open(settings, receiver, TransportEvents.NONE)) {
      for (int i = 0; i < 10; i++) {
        BatchHeader header = Batches.header(i, 501, 503); // 1 MB, 124 packets
        Batches.send(transport, 0, header, Batches.payload(header));
      }
      Set<Long> steps = new HashSet<>();
      for (int i = 0; i < 10; i++) {
        RecordingReceiver.Arrival arrival = receiver.take();
        assertTrue(steps.add(arrival.header().step()), "once each");
        assertArrayEquals(
            Batches.rows(arrival.header()),
            arrival.payload().bytes().toArray(ValueLayout.JAVA_BYTE));
      }
      long naks = transport.counters().naksSent();
      assertTrue(naks > 0, "nothing was lost: the test shows nothing");
      assertEquals(0, transport.counters().corruptFrames());
    }
  }
}
