package troupe.transport;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import troupe.transport.TransportSettings.Mode;

class PreflightTest {
  private final TransportSettings udp = TransportSettings.of(1, 0, Mode.UDP);

  @Test
  void shouldNameTheFixWhenSharedMemoryIsTooSmall() {
    Path parent = Path.of("/dev/shm");
    Preflight.checkSpace(parent, Preflight.neededBytes(udp), Preflight.neededBytes(udp));
    IllegalStateException e =
        assertThrows(
            IllegalStateException.class,
            () ->
                Preflight.checkSpace(
                    parent, Preflight.neededBytes(udp), Preflight.neededBytes(udp) - 1));
    assertTrue(e.getMessage().contains("HINT: lower transport.term_bytes"), e.getMessage());
    assertTrue(e.getMessage().contains("--shm-size"), e.getMessage());
  }

  @Test
  void shouldNeedTwiceTheTermsOnUdp() {
    long mib = 1 << 20;
    assertEquals((16 + 3 * 16) * mib, Preflight.neededBytes(TransportSettings.of(1, 0, Mode.IPC)));
    assertEquals((16 + 6 * 16) * mib, Preflight.neededBytes(udp));
  }

  @Test
  void shouldFitTheWindowToTheKernelsLimit() {
    assertEquals(212_992, Preflight.fitWindow(udp, 212_992).driver().windowBytes());
    assertSame(udp, Preflight.fitWindow(udp, 4 << 20));
    TransportSettings ipc = TransportSettings.of(1, 0, Mode.IPC);
    assertSame(ipc, Preflight.fitWindow(ipc, 0));
  }

  @Test
  void shouldFailWhenNotEvenAPacketFitsTheReceiveBuffer() {
    IllegalStateException e =
        assertThrows(IllegalStateException.class, () -> Preflight.fitWindow(udp, 4096));
    assertTrue(e.getMessage().contains("HINT: sysctl -w net.core.rmem_max="), e.getMessage());
  }
}
