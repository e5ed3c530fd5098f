package troupe.coordinator.node;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Optional;
import org.junit.jupiter.api.Test;

final class TransportShareTest {
  @Test
  void shouldReadWhatItSays() {
    TransportShare share = new TransportShare(4.5, 56.7, 1234.5, 0);
    assertEquals(
        "transport  4.5 % of the time of one thread; sent 56.7 MB by pick-up, 1234.5 MB by IPC, 0.0 MB by UDP",
        share.text());
    assertEquals(Optional.of(share), TransportShare.parse("! " + share.text()));
  }

  @Test
  void shouldSeeThatALineIsAnother() {
    assertEquals(Optional.empty(), TransportShare.parse("! node-2 is gone"));
  }
}
