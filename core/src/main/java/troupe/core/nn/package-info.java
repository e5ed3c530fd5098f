/**
 * Layers with an explicit forward and backward pass, as functions of kernels and tensors. Shape
 * legend: {@link troupe.core.tensor}.
 */
package troupe.core.nn;
