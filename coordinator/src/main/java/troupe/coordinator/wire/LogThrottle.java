package troupe.coordinator.wire;

/** A few lines at once, then one now and then: a token bucket that counts what it held back. */
final class LogThrottle {
  private final long burst;
  private final long nanosPerLine;
  private long tokens;
  private long lastNs;
  private long silent;

  LogThrottle(int burst, long nanosPerLine, long nowNs) {
    this.burst = burst;
    this.nanosPerLine = nanosPerLine;
    tokens = burst;
    lastNs = nowNs;
  }

  /**
   * Whether to log now.
   *
   * @return how many lines were held back since the last one, or -1 to hold back this one
   */
  synchronized long ask(long nowNs) {
    long earned = (nowNs - lastNs) / nanosPerLine;
    tokens = Math.min(burst, tokens + earned);
    lastNs += earned * nanosPerLine;
    if (tokens == 0) {
      silent++;
      return -1;
    }
    tokens--;
    long told = silent;
    silent = 0;
    return told;
  }
}
