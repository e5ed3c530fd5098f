package troupe.transport;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import troupe.transport.TransportSettings.Mode;

class TransportSettingsTest {
  private final TransportSettings settings = TransportSettings.of(1, 0, Mode.UDP);

  @ParameterizedTest
  @ValueSource(ints = {0, -32, 1120, 65_503, 65_536, 1_000_000})
  void shouldRefuseAnImpossibleMtu(int mtuBytes) {
    String message = message(() -> settings.with(null, mtuBytes, 1 << 20));
    assertTrue(message.startsWith("transport.mtu_bytes: " + mtuBytes + " (expected: "), message);
  }

  @ParameterizedTest
  @ValueSource(ints = {0, -1, 1 << 15, (1 << 20) + 1, Integer.MIN_VALUE})
  void shouldRefuseAnImpossibleTerm(int termBytes) {
    String message = message(() -> settings.with(null, 8192, termBytes));
    assertTrue(message.startsWith("transport.term_bytes: " + termBytes + " (expected: "), message);
  }

  @ParameterizedTest
  @CsvSource({"0,1", "1,0"})
  void shouldRefuseEmptyBounds(int batches, long bytes) {
    message(() -> new TransportSettings.Outbound(batches, bytes));
    message(() -> new TransportSettings.Inbound(1, batches, bytes, Duration.ofSeconds(1)));
  }

  @Test
  void shouldKeepTheWindowAtLeastAPacket() {
    assertEquals(
        65_504, settings.withWindow(65_504).with(null, 8192, 1 << 16).driver().windowBytes());
    message(() -> settings.withWindow(65_503));
  }

  private static String message(Executable executable) {
    return assertThrows(IllegalArgumentException.class, executable).getMessage();
  }
}
