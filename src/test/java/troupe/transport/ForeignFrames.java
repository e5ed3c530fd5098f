package troupe.transport;

import java.util.Arrays;
import java.util.SplittableRandom;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * Frames that a transport must not take: noise, of other runs and epochs, damaged, contradictory.
 */
final class ForeignFrames {
  private static final int STRIDE = 1024;

  private final Way way;
  private final int epoch;
  private final SplittableRandom random;

  /** Frames for a transport of the tests' run that is in {@code epoch}. */
  ForeignFrames(Way way, int epoch, SplittableRandom random) {
    this.way = way;
    this.epoch = epoch;
    this.random = random;
  }

  /** The next one. */
  byte[] next() {
    return switch (random.nextInt(6)) {
      case 0 -> noise();
      case 1 -> frame(random.nextLong(), epoch); // another run, for it is not the one of the tests
      case 2 -> frame(Batches.RUN_ID, random.nextInt(epoch));
      case 3 -> flipped(frame(Batches.RUN_ID, epoch));
      case 4 -> cut(frame(Batches.RUN_ID, epoch));
      default -> contradicting(frame(Batches.RUN_ID, epoch));
    };
  }

  private byte[] noise() {
    byte[] noise = new byte[random.nextInt(1, 2000)];
    random.nextBytes(noise);
    return noise;
  }

  private byte[] frame(long runId, int ofEpoch) {
    BatchHeader header =
        new BatchHeader(
            runId,
            ofEpoch,
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
