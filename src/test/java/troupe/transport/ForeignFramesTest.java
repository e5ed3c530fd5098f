package troupe.transport;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.aeron.Aeron;
import io.aeron.Publication;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.ThreadLocalRandom;
import org.agrona.concurrent.UnsafeBuffer;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.EnumSource.Mode;

/**
 * Writes what no transport would send where another process listens: into its shared memory, and to
 * its port. {@code -Dfuzz.seed=N} replays a run.
 */
class ForeignFramesTest {
  private static final int FRAMES = 100_000;
  private static final int NODE = 77;
  private static final int EPOCH = 2;
  private static final int STRIDE = 1024;

  private final long seed = Long.getLong("fuzz.seed", ThreadLocalRandom.current().nextLong());
  private final SplittableRandom random = new SplittableRandom(seed);
  private Way way;

  @ParameterizedTest
  @EnumSource(mode = Mode.EXCLUDE, names = "HAND_OFF")
  void shouldRejectEveryFrameThatIsNotItsOwn(Way comingBy) throws Exception {
    way = comingBy;
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
          UnsafeBuffer frame = new UnsafeBuffer(foreign());
          Eventually.await("offer", () -> publication.offer(frame) > 0);
        }
        Eventually.await("verdicts, seed " + seed, () -> other.counter("rejected") >= FRAMES);
      }
      assertEquals(FRAMES, other.counter("rejected"), "seed " + seed);
      assertEquals(0, other.counter("ipc") + other.counter("udp"), "seed " + seed);

      transport.connect(List.of(other.endpoint()));
      BatchHeader own = Batches.header(Batches.RUN_ID, EPOCH, 1, 30, 30);
      Eventually.send(transport, NODE, own, Batches.payload(own));
      Eventually.await("a batch of its own", () -> other.counter("ipc") == 1);
      assertEquals(0, other.counter("errors"));
      other.quit();
    }
    Files.delete(directory);
  }

  private byte[] foreign() {
    return switch (random.nextInt(6)) {
      case 0 -> noise();
      case 1 -> frame(random.nextLong(), EPOCH); // another run, for it is not the one of the tests
      case 2 -> frame(Batches.RUN_ID, random.nextInt(EPOCH));
      case 3 -> flipped(frame(Batches.RUN_ID, EPOCH));
      case 4 -> cut(frame(Batches.RUN_ID, EPOCH));
      default -> contradicting(frame(Batches.RUN_ID, EPOCH));
    };
  }

  private byte[] noise() {
    byte[] noise = new byte[random.nextInt(1, 2000)];
    random.nextBytes(noise);
    return noise;
  }

  private byte[] frame(long runId, int epoch) {
    BatchHeader header =
        new BatchHeader(
            runId,
            epoch,
            random.nextInt(8),
            random.nextInt(4),
            random.nextInt(4),
            random.nextInt(4),
            random.nextInt(8),
            Phase.of(random.nextInt(1, Phase.values().length + 1)),
            1,
            random.nextInt(4),
            random.nextInt(1, 80));
    return Frames.at(way, header, new BatchId(random.nextLong(), random.nextInt(4)), STRIDE, 0);
  }

  private byte[] flipped(byte[] frame) {
    int covered = FrameFlyweight.checksummedLength(way, frame.length);
    frame[random.nextInt(covered)] ^= (byte) (1 << random.nextInt(8));
    return frame;
  }

  private byte[] cut(byte[] frame) {
    return Arrays.copyOf(frame, random.nextInt(1, frame.length));
  }

  /** With a checksum that is right: the writer knows the format. */
  private byte[] contradicting(byte[] frame) {
    int at =
        switch (random.nextInt(3)) {
          case 0 -> FrameFlyweight.TOTAL_BYTES_OFFSET;
          case 1 -> FrameFlyweight.CHUNK_OFFSET_OFFSET;
          default -> FrameFlyweight.ROWS_OFFSET;
        };
    UnsafeBuffer buffer = new UnsafeBuffer(frame);
    buffer.putInt(at, buffer.getInt(at) ^ random.nextInt(1, Integer.MAX_VALUE));
    return Frames.seal(way, frame);
  }
}
