package troupe.router.gate;

/**
 * The detached scale {@code a} of an expert's output during training: where between zero and the
 * full output the loss is differentiated, which is what makes the estimator first order, mid-point
 * or exact in expectation (docs/numerics.md, "Why").
 */
@FunctionalInterface
interface ScaleRule {
  /** SparseMixer-1st: Euler's rule, always the full output. */
  ScaleRule FIRST_ORDER = (best, draws, token, round) -> 1;

  /** SparseMixer-2nd: the mid-point rule, 1 or 1/2 evenly. */
  ScaleRule MIDPOINT = (best, draws, token, round) -> draws.coin(token, round) > 0.5 ? 1 : 0.5;

  /**
   * SparseMixer: mid-point except where the sampled expert is the one that inference would take.
   */
  ScaleRule BALANCED =
      (best, draws, token, round) -> best ? 1 : MIDPOINT.scale(false, draws, token, round);

  /** SparseMixer-inf: like balanced with U(0, 1) in place of 1/2, the whole path integral. */
  ScaleRule INTEGRAL =
      (best, draws, token, round) ->
          best || draws.coin(token, round) > 0.5 ? 1 : draws.scale(token, round);

  /**
   * The scale of one token; asks for no draw that the rule does not need.
   *
   * @param best whether the chosen expert has the largest logit
   */
  double scale(boolean best, Draws draws, int token, int round);
}
