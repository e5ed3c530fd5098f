/**
 * Router logits of a run on disk: written beside training, read by the simulator. Shape legend:
 * {@link troupe.core.tensor}.
 */
package troupe.router.trace;
