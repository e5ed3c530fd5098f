package troupe.router.pass;

import troupe.router.gate.Draws;

/** Where a pass gets the gate's random numbers from. */
@FunctionalInterface
public interface DrawsSource {
  /**
   * The draws of a micro-batch in one layer.
   *
   * @param firstToken index of its first token among all tokens of the step, over all ranks
   */
  Draws draws(long step, int layer, long firstToken);
}
