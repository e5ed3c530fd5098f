package troupe.transport;

import io.aeron.Aeron;
import io.aeron.ExclusivePublication;
import java.util.SplittableRandom;
import org.agrona.CloseHelper;
import org.agrona.concurrent.UnsafeBuffer;
import troupe.Eventually;

/** Sends by UDP to a node what it must not take, from a transport of another run. */
public final class FrameGun implements AutoCloseable {
  private final NodeTransport transport =
      NodeTransport.open(
          TransportSettings.of(Batches.RUN_ID, 99, TransportSettings.Mode.UDP)
              .with(null, 8192, 1 << 20),
          new RecordingReceiver(),
          new RecordingEvents());
  private final Aeron aeron =
      Aeron.connect(new Aeron.Context().aeronDirectoryName(transport.local().directory()));
  private final ForeignFrames frames;

  /** A gun that does the same for the same seed. */
  public FrameGun(long seed) {
    frames = new ForeignFrames(Way.UDP, 2, new SplittableRandom(seed));
  }

  /** Sends {@code count} frames to a UDP port of this machine; returns whether anybody listens. */
  public boolean fire(int port, int node, int count) {
    try (ExclusivePublication publication =
        aeron.addExclusivePublication("aeron:udp?endpoint=127.0.0.1:" + port, node)) {
      for (int looks = 0; !publication.isConnected(); looks++) {
        if (looks == 20) {
          return false;
        }
        sleep(50);
      }
      for (int i = 0; i < count; i++) {
        UnsafeBuffer frame = new UnsafeBuffer(frames.next());
        Eventually.await("offer", () -> publication.offer(frame) > 0 || !publication.isConnected());
      }
      return true;
    }
  }

  private static void sleep(long ms) {
    try {
      Thread.sleep(ms);
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  @Override
  public void close() {
    CloseHelper.closeAll(aeron, transport);
  }
}
