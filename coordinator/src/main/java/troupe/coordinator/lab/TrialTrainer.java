package troupe.coordinator.lab;

/** Trains what a trial describes. */
@FunctionalInterface
interface TrialTrainer {
  /**
   * Trains to the end.
   *
   * @throws TrialFailedException if that failed; others may go on
   * @throws troupe.core.UserException if the config asks for something that is not to be had, which
   *     the others would, too
   */
  TrialResult train(Trial trial) throws TrialFailedException, InterruptedException;
}
