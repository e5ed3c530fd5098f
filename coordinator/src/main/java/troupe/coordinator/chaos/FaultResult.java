package troupe.coordinator.chaos;

import java.util.OptionalDouble;
import troupe.coordinator.chaos.Disturbance.Kind;

/**
 * What a fault cost.
 *
 * @param who was hit
 * @param atSeconds of the disturbed run
 * @param recoveredSeconds until the next committed step; empty if none came
 * @param regainedSeconds until the next step that had not been committed before; empty if none came
 * @param replayed steps that were committed a second time
 */
record FaultResult(
    Kind kind,
    String who,
    double atSeconds,
    OptionalDouble recoveredSeconds,
    OptionalDouble regainedSeconds,
    long replayed) {
  boolean isRecovered() {
    return regainedSeconds.isPresent();
  }
}
