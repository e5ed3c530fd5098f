/**
 * Gates and gradient estimators as pure functions of logits and draws, the losses on their
 * decisions, and the plan of the dispatch. Formulas and sources: docs/numerics.md. Shape legend:
 * {@link troupe.core.tensor}.
 */
package troupe.router.gate;
