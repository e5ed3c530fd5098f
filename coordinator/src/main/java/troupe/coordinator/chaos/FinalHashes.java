package troupe.coordinator.chaos;

import java.nio.file.Path;

/** The hashes that a verdict compares. */
interface FinalHashes {
  /**
   * The newest whole checkpoint of a run.
   *
   * @param step after which it was written
   * @param hash of its parameters
   */
  record Final(long step, String hash) {}

  /**
   * Where the disturbed run ended.
   *
   * @throws troupe.core.UserException if it has no checkpoint
   */
  Final disturbed(Path runFolder);

  /**
   * The hash of the same run at that step, had nothing happened.
   *
   * @throws troupe.core.UserException if it cannot be told
   */
  String undisturbed(long step) throws InterruptedException;
}
