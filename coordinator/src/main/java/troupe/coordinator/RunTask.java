package troupe.coordinator;

import troupe.router.Sampling;

/** Something a coordinator is asked to have done, one after the other. */
public sealed interface RunTask {
  /**
   * Train up to and including {@code lastStep}, validating and checkpointing as the config says.
   */
  record Train(long lastStep) implements RunTask {}

  /** Compute the loss over {@code batches} validation batches. */
  record Evaluate(int batches) implements RunTask {}

  /**
   * Continue a prompt.
   *
   * @param prompt tokens, at least one; not written to once given
   * @param count tokens to generate at most
   * @param stop token that ends the text, or -1
   */
  record Generate(int[] prompt, int count, int stop, Sampling sampling) implements RunTask {}
}
