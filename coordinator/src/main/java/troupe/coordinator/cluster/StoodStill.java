package troupe.coordinator.cluster;

import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Notices that this process did not run for a while: SIGSTOP, a closed lid, a very long collection.
 * The others may have given it up meanwhile, and it would hear of that only after it has acted.
 * Looks at two clocks, for one of them stops with the machine and the other with nothing; so a wall
 * clock that is set ahead by more than the patience is mistaken for a pause.
 */
public final class StoodStill implements AutoCloseable {
  /**
   * The failure detector's patience: heartbeat-interval and acceptable-heartbeat-pause of
   * cluster.conf. Whoever was away for less is not even suspected.
   */
  public static final Duration PATIENCE = Duration.ofMillis(1750);

  private static final Logger LOG = LoggerFactory.getLogger(StoodStill.class);
  private static final Duration LOOK_EVERY = Duration.ofMillis(100);

  private final Duration patience;
  private final LongSupplier nanos;
  private final LongSupplier wallMs;
  private final Consumer<Duration> onPause;
  private final AtomicLong lastNanos;
  private final AtomicLong lastWallMs;
  private final Thread thread;

  private StoodStill(
      Duration patience, LongSupplier nanos, LongSupplier wallMs, Consumer<Duration> onPause) {
    this.patience = patience;
    this.nanos = nanos;
    this.wallMs = wallMs;
    this.onPause = onPause;
    this.lastNanos = new AtomicLong(nanos.getAsLong());
    this.lastWallMs = new AtomicLong(wallMs.getAsLong());
    this.thread = new Thread(this::run, "stood-still");
    this.thread.setDaemon(true);
  }

  /**
   * Begins to watch.
   *
   * @param onPause told how long this process was away, on the thread that noticed
   */
  public static StoodStill watch(Consumer<Duration> onPause) {
    StoodStill watch = of(PATIENCE, System::nanoTime, System::currentTimeMillis, onPause);
    watch.thread.start();
    return watch;
  }

  /** One that looks only when asked to. */
  static StoodStill of(
      Duration patience, LongSupplier nanos, LongSupplier wallMs, Consumer<Duration> onPause) {
    return new StoodStill(patience, nanos, wallMs, onPause);
  }

  /**
   * Looks now. Whoever is about to do what cannot be undone calls it first: after a pause its
   * thread may run before the watching one.
   *
   * @return whether this process was away since it last looked
   */
  public boolean look() {
    long now = nanos.getAsLong();
    long nowWallMs = wallMs.getAsLong();
    long awayNs = now - lastNanos.getAndAccumulate(now, Math::max);
    long awayMs = nowWallMs - lastWallMs.getAndSet(nowWallMs);
    Duration away = Duration.ofNanos(Math.max(awayNs, awayMs * 1_000_000));
    if (away.compareTo(patience) < 0) {
      return false;
    }
    LOG.warn(
        "this process stood still for {} s; the others may have gone on without it",
        away.toMillis() / 1000.0);
    onPause.accept(away);
    return true;
  }

  private void run() {
    try {
      while (!Thread.currentThread().isInterrupted()) {
        Thread.sleep(LOOK_EVERY);
        look();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Stops watching. */
  @Override
  public void close() {
    thread.interrupt();
  }
}
