/**
 * Tensors that know their device, and the one narrow interface of kernels that every device
 * implements.
 *
 * <p>Every tensor is a row-major matrix; sizes that a matrix cannot carry (batch, heads) are
 * arguments. A capital suffix on a name is its logical shape:
 *
 * <pre>
 *   B sequences   S tokens of a sequence   T tokens (B*S)   D model width   F feed-forward width   H heads
 *   E experts     K top-k                  R rows routed to one expert      V vocabulary           L layers
 *   W width in which projections are compared with embeddings
 * </pre>
 *
 * <p>{@code x_TD} is thus tokens by model width. A {@code d} in front is a gradient: {@code dX_TD}.
 */
package troupe.core.tensor;
