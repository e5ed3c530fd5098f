package troupe.transport;

import java.time.Duration;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;

/** Waits for a condition with a deadline. */
final class Eventually {
  static final Duration TIMEOUT = Duration.ofSeconds(20);

  private Eventually() {}

  static void await(String what, BooleanSupplier condition) {
    long deadlineNs = System.nanoTime() + TIMEOUT.toNanos();
    while (!condition.getAsBoolean()) {
      if (System.nanoTime() - deadlineNs > 0) {
        throw new AssertionError("not within " + TIMEOUT + ": " + what);
      }
      LockSupport.parkNanos(200_000);
    }
  }

  /** Offers until the batch is taken over; the receiver must be able to make room. */
  static void send(Transport transport, int node, BatchHeader header, Payload payload) {
    await(
        "offer of " + header,
        () ->
            switch (transport.offer(node, header, payload)) {
              case ACCEPTED -> true;
              case BACK_PRESSURED, NOT_CONNECTED -> false;
              case CLOSED -> throw new AssertionError("closed");
            });
  }
}
