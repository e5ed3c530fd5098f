package troupe.coordinator.chaos;

import java.time.Duration;

/**
 * What is asked of a disturbed run.
 *
 * @param seed of the plan of faults
 * @param length how long it is disturbed, from its first step on
 * @param toLastStep whether it then goes on undisturbed to the last step of its config rather than
 *     being stopped with a checkpoint
 */
record ChaosSettings(long seed, Duration length, boolean toLastStep) {}
