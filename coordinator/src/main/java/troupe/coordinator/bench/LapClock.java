package troupe.coordinator.bench;

import java.util.OptionalDouble;
import java.util.function.LongSupplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Takes the time between the progress lines of two steps as they are heard: the step times of a run
 * leave out what passes between steps.
 */
final class LapClock {
  private static final Pattern PROGRESS = Pattern.compile("step +([0-9]+)/[0-9]+ .*");
  private static final long NOT_HEARD = Long.MIN_VALUE;

  private final long from;
  private final long to;
  private final LongSupplier nanoTime;
  private long fromNs = NOT_HEARD;
  private long toNs = NOT_HEARD;

  LapClock(long from, long to, LongSupplier nanoTime) {
    this.from = from;
    this.to = to;
    this.nanoTime = nanoTime;
  }

  /** A line was printed just now; whether it is one of progress. */
  synchronized boolean heard(String line) {
    Matcher progress = PROGRESS.matcher(line);
    if (!progress.matches()) {
      return false;
    }
    long step = Long.parseLong(progress.group(1));
    if (step == from && fromNs == NOT_HEARD) {
      fromNs = nanoTime.getAsLong();
    }
    if (step == to) {
      toNs = nanoTime.getAsLong();
    }
    return true;
  }

  /** Milliseconds between the two; empty if one was not heard. */
  synchronized OptionalDouble elapsedMs() {
    return fromNs == NOT_HEARD || toNs == NOT_HEARD
        ? OptionalDouble.empty()
        : OptionalDouble.of((toNs - fromNs) / 1e6);
  }
}
