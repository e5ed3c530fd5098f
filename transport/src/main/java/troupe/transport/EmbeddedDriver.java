package troupe.transport;

import io.aeron.driver.MediaDriver;
import io.aeron.driver.ThreadingMode;
import java.nio.file.Path;
import org.agrona.ErrorHandler;
import org.agrona.concurrent.BackoffIdleStrategy;

/**
 * Starts the Aeron driver of one transport: one thread for all its work, asleep when there is none.
 */
final class EmbeddedDriver {
  private static final int MAX_SPINS = 10;
  private static final int MAX_YIELDS = 20;
  private static final int MIN_PARK_NS = 1_000;

  private EmbeddedDriver() {}

  /** Starts a driver in a folder of its own. */
  static MediaDriver launch(AeronSettings settings, Path directory, ErrorHandler errorHandler) {
    MediaDriver.Context context =
        new MediaDriver.Context()
            .aeronDirectoryName(directory.toString())
            .dirDeleteOnShutdown(true)
            .warnIfDirectoryExists(false)
            .threadingMode(ThreadingMode.SHARED)
            .sharedIdleStrategy(idleStrategy(settings))
            .sharedThreadFactory(DaemonThreads.named("transport-driver"))
            // Terms take memory when they are first written, not all at once at the start.
            .termBufferSparseFile(true)
            .publicationTermBufferLength(settings.termBytes())
            .ipcTermBufferLength(settings.termBytes())
            .mtuLength(settings.mtuBytes())
            .ipcMtuLength(settings.mtuBytes())
            .errorHandler(errorHandler);
    if (settings.isUdp()) {
      context
          .initialWindowLength(settings.windowBytes())
          .socketRcvbufLength(bufferBytes(settings, Preflight.maxReceiveBufferBytes()))
          .socketSndbufLength(bufferBytes(settings, Preflight.maxSendBufferBytes()));
    }
    return MediaDriver.launch(context);
  }

  /** Spins and yields a little, then sleeps longer and longer. One instance per thread. */
  static BackoffIdleStrategy idleStrategy(AeronSettings settings) {
    return new BackoffIdleStrategy(
        MAX_SPINS, MAX_YIELDS, MIN_PARK_NS, settings.maxIdlePark().toNanos());
  }

  /** Twice the window: the kernel counts its own overhead on each packet too. */
  private static int bufferBytes(AeronSettings settings, int limit) {
    return (int) Math.min(limit, 2L * settings.windowBytes());
  }
}
