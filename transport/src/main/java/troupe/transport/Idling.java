package troupe.transport;

import org.agrona.concurrent.BackoffIdleStrategy;
import org.agrona.concurrent.IdleStrategy;

/** What the threads of a transport do while there is nothing to do. */
public enum Idling {
  /** They spin and yield before they sleep, and each offer wakes them: for a core of their own. */
  EAGER(10, 20, 1_000, true),

  /**
   * They sleep and look again. Where every core computes, each wake-up takes a computing thread its
   * turn and what it has in the cache: two nodes on two cores had 10 000 a second.
   */
  PATIENT(0, 0, 50_000, false);

  /** Bounds what idling adds to the latency of a batch. */
  private static final long MAX_PARK_NS = 1_000_000;

  private final int maxSpins;
  private final int maxYields;
  private final long minParkNs;
  private final boolean isWoken;

  Idling(int maxSpins, int maxYields, long minParkNs, boolean isWoken) {
    this.maxSpins = maxSpins;
    this.maxYields = maxYields;
    this.minParkNs = minParkNs;
    this.isWoken = isWoken;
  }

  /**
   * What suits this machine.
   *
   * @param threads that compute all the time, in all processes of the machine
   */
  public static Idling beside(int threads) {
    return Runtime.getRuntime().availableProcessors() > threads ? EAGER : PATIENT;
  }

  /** One instance per thread. */
  IdleStrategy strategy() {
    return new BackoffIdleStrategy(
        maxSpins, maxYields, Long.getLong("x.park", minParkNs), Long.getLong("x.max", MAX_PARK_NS));
  }

  /** Whether an offer wakes the thread that sends. */
  boolean isWoken() {
    return isWoken || Boolean.getBoolean("x.unpark");
  }
}
