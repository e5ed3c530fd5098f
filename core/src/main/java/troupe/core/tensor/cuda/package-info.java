/**
 * NVIDIA GPUs from compute capability 8.0 on: bf16 activations, float32 parameters, kernels
 * compiled at start for the GPU at hand, cuBLASLt for matrix products.
 */
package troupe.core.tensor.cuda;
