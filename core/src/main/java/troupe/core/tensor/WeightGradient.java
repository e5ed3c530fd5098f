package troupe.core.tensor;

/**
 * What {@link Kernels#weightGradient} is asked for, for {@link Kernels#weightGradients}.
 *
 * @param dB_1C {@code null} for a layer without bias
 * @param accumulate whether to add to what is there
 */
public record WeightGradient(
    Tensor dW, Tensor dB_1C, Tensor x, Tensor dOut_RC, boolean accumulate) {}
