/**
 * What a rank computes itself, without actors: embedding, attention, norms, head, and the gate's
 * side of every mixture-of-experts layer. Shape legend: {@link troupe.core.tensor}.
 */
package troupe.router.trunk;
