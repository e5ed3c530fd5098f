package troupe.coordinator;

import troupe.coordinator.events.RunEvent;

/**
 * What an interruption cost.
 *
 * @param committedStep the last step committed before it
 * @param sinceNs when that was
 */
record Recovery(long committedStep, long sinceNs) {
  /** A step is committed again. */
  RunEvent.Recovered ended(long step, long nowNs) {
    return new RunEvent.Recovered(
        step, Math.max(0, committedStep - step + 1), (nowNs - sinceNs) / 1e9);
  }
}
