package troupe;

import java.time.Duration;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;

/** Waits for a condition with a deadline. */
public final class Eventually {
  /** Long against anything that a test waits for, on a machine that does much else. */
  public static final Duration TIMEOUT = Duration.ofSeconds(60);

  private static final long PAUSE_NS = 200_000;

  private Eventually() {}

  /** Fails with {@code what} if the condition does not hold in time. */
  public static void await(Object what, BooleanSupplier condition) {
    long deadlineNs = System.nanoTime() + TIMEOUT.toNanos();
    while (!condition.getAsBoolean()) {
      if (System.nanoTime() - deadlineNs > 0) {
        throw new AssertionError("not within " + TIMEOUT + ": " + what);
      }
      LockSupport.parkNanos(PAUSE_NS);
    }
  }
}
