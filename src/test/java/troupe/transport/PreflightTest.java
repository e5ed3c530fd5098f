package troupe.transport;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class PreflightTest {
  private final AeronSettings udp = AeronSettings.udp(1, 0);

  @Test
  void shouldNameTheFixWhenSharedMemoryIsTooSmall() {
    Path parent = Path.of("/dev/shm");
    Preflight.checkSpace(udp, parent, Preflight.neededBytes(udp));
    IllegalStateException e =
        assertThrows(
            IllegalStateException.class,
            () -> Preflight.checkSpace(udp, parent, Preflight.neededBytes(udp) - 1));
    assertTrue(e.getMessage().contains("HINT: lower transport.term_bytes"), e.getMessage());
    assertTrue(e.getMessage().contains("--shm-size"), e.getMessage());
  }

  @Test
  void shouldNeedTwiceTheTermsOnUdp() {
    long mib = 1 << 20;
    assertEquals((16 + 3 * 16) * mib, Preflight.neededBytes(AeronSettings.ipc(1, 0)));
    assertEquals((16 + 6 * 16) * mib, Preflight.neededBytes(udp));
  }

  @Test
  void shouldFitTheWindowToTheKernelsLimit() {
    assertEquals(212_992, Preflight.fitWindow(udp, 212_992).windowBytes());
    assertSame(udp, Preflight.fitWindow(udp, 4 << 20));
    AeronSettings ipc = AeronSettings.ipc(1, 0);
    assertSame(ipc, Preflight.fitWindow(ipc, 0));
  }

  @Test
  void shouldFailWhenNotEvenAPacketFitsTheReceiveBuffer() {
    IllegalStateException e =
        assertThrows(IllegalStateException.class, () -> Preflight.fitWindow(udp, 4096));
    assertTrue(e.getMessage().contains("HINT: sysctl -w net.core.rmem_max="), e.getMessage());
  }
}
