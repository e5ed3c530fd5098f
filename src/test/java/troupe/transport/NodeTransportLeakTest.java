package troupe.transport;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import troupe.Eventually;
import troupe.transport.TransportSettings.Mode;

class NodeTransportLeakTest {
  private static final int ROUNDS = 50;

  @Test
  void shouldLeaveNothingBehindWhenStartedAndStopped() throws IOException {
    Path parent = Files.createTempDirectory(DriverDirectory.defaultParent(), "troupe-leak-test");
    try {
      long threads = 0;
      for (int i = 0; i < ROUNDS; i++) {
        startAndStop(parent, i % 2 == 0);
        if (i == 1) {
          threads = numThreads(); // whatever a first use starts for good
        }
      }
      long atMost = threads;
      Eventually.await("threads", () -> numThreads() <= atMost);
      try (Stream<Path> left = Files.list(parent)) {
        assertEquals(List.of(), left.toList());
      }
    } finally {
      Files.delete(parent);
    }
  }

  private static void startAndStop(Path parent, boolean isUdp) {
    TransportSettings settings =
        isUdp
            ? TransportSettings.of(Batches.RUN_ID, 0, Mode.UDP)
            : TransportSettings.of(Batches.RUN_ID, 0, Mode.IPC);
    RecordingReceiver receiver = new RecordingReceiver();
    try (NodeTransport transport =
        NodeTransport.open(settings.with(parent, 8192, 1 << 16), receiver, TransportEvents.NONE)) {
      BatchHeader header = Batches.header(1, 3, 3);
      Batches.send(transport, 0, header, Batches.payload(header));
      assertEquals(header, receiver.take().header());
    }
  }

  private static long numThreads() {
    return Thread.getAllStackTraces().size();
  }
}
