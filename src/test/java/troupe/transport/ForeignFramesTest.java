package troupe.transport;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.aeron.Aeron;
import io.aeron.Publication;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.ThreadLocalRandom;
import org.agrona.concurrent.UnsafeBuffer;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import troupe.Eventually;

/**
 * Writes what no transport would send where another process listens: into its shared memory, and to
 * its port. {@code -Dfuzz.seed=N} replays a run.
 */
class ForeignFramesTest {
  private static final int FRAMES = 100_000;
  private static final int NODE = 77;
  private static final int EPOCH = 2;

  private final long seed = Long.getLong("fuzz.seed", ThreadLocalRandom.current().nextLong());

  @ParameterizedTest
  @EnumSource(names = {"IPC", "UDP"})
  void shouldRejectEveryFrameThatIsNotItsOwn(Way way) throws Exception {
    ForeignFrames frames = new ForeignFrames(way, EPOCH, new SplittableRandom(seed));
    System.out.println("ForeignFramesTest way=" + way + " -Dfuzz.seed=" + seed);
    Path directory = Files.createTempDirectory(DriverDirectory.defaultParent(), "troupe-foreign");
    try (NodeTransport transport =
            NodeTransport.open(
                NodeMain.settings(TransportSettings.Mode.AUTO, 1, directory),
                new RecordingReceiver(),
                new RecordingEvents());
        NodeProcess other = NodeProcess.start(TransportSettings.Mode.AUTO, NODE, directory)) {
      other.setEpoch(EPOCH);
      boolean isIpc = way == Way.IPC;
      String driver = isIpc ? other.endpoint().directory() : transport.local().directory();
      String channel = isIpc ? "aeron:ipc" : other.endpoint().channel();
      try (Aeron aeron = Aeron.connect(new Aeron.Context().aeronDirectoryName(driver));
          Publication publication = aeron.addExclusivePublication(channel, NODE)) {
        for (int i = 0; i < FRAMES; i++) {
          UnsafeBuffer frame = new UnsafeBuffer(frames.next());
          Eventually.await("offer", () -> publication.offer(frame) > 0);
        }
        Eventually.await("verdicts, seed " + seed, () -> other.counter("rejected") >= FRAMES);
      }
      assertEquals(FRAMES, other.counter("rejected"), "seed " + seed);
      assertEquals(0, other.counter("ipc") + other.counter("udp"), "seed " + seed);

      transport.connect(List.of(other.endpoint()));
      BatchHeader own = Batches.header(Batches.RUN_ID, EPOCH, 1, 30, 30);
      Batches.send(transport, NODE, own, Batches.payload(own));
      Eventually.await("a batch of its own", () -> other.counter("ipc") == 1);
      assertEquals(0, other.counter("errors"));
      other.quit();
    }
    Files.delete(directory);
  }
}
