package troupe.coordinator.simulate;

import java.util.List;
import troupe.core.data.TokenCounts;
import troupe.router.gate.Draws;

/** The tokens of a simulation, step by step, in the groups in which they are routed. */
interface Tokens extends AutoCloseable {
  /**
   * What is routed together: a micro-batch of one rank in one layer.
   *
   * @param layer index among the layers, from 0
   * @param firstToken how many tokens of the step and layer come before
   * @param tokens number of tokens
   */
  record Group(int layer, long firstToken, int tokens) {}

  /**
   * What a gate sees of a group.
   *
   * @param logits_TE belongs to the caller's thread until it asks for the next group
   * @param state what the gate of the trace kept; empty where tokens are drawn
   * @param draws a function of the group alone
   */
  record Seen(double[] logits_TE, int[] ids_T, double[] state, Draws draws) {}

  /** Number of experts of a layer. */
  int experts();

  /** Number of layers that are simulated one by one. */
  int layers();

  /** How many layers of the model each of them stands for. */
  int layersEach();

  /** Tokens of a step, of one layer. */
  long tokens();

  /** The numbers of the steps, in order. */
  List<Long> steps();

  /** The groups of a step, in order. */
  List<Group> groups(int step);

  /**
   * What a gate sees.
   *
   * @param buffer at least as long as the logits, to be used or not
   */
  Seen see(int step, Group group, double[] buffer);

  /** How often each token of the vocabulary occurs, for a gate that hashes. */
  TokenCounts counts();

  @Override
  void close();
}
