/**
 * Gates and gradient estimators as pure functions of logits and draws; spec numbers in comments
 * refer to docs/numerics.md. Shape legend: {@link troupe.core.tensor}.
 */
package troupe.router.gate;
