package troupe.coordinator.bench;

import java.time.Duration;

/**
 * How often work is measured, and what comes before that.
 *
 * @param warmUp how often the same is done before, or more often where that is over in no time; 0 =
 *     not at all
 * @param rest how long a device then has nothing to do, before it is warmed up by a few repetitions
 *     more: one at its power limit cools down
 * @param measured how often it is measured
 */
public record Repeats(int warmUp, Duration rest, int measured) {
  /** Without a rest: as in training, which does not pause either. */
  public Repeats(int warmUp, int measured) {
    this(warmUp, Duration.ZERO, measured);
  }
}
