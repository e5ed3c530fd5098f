package troupe.core.tensor;

/**
 * The numbers of one AdamW step that are the same for every parameter (Loshchilov and Hutter, arXiv
 * 1711.05101, algorithm 2).
 *
 * @param learningRate learning rate of this step
 * @param beta1 decay of the first moment
 * @param beta2 decay of the second moment
 * @param epsilon added to the square root of the second moment
 * @param step one-based count of steps, for the bias correction
 * @param gradientScale what every gradient is multiplied by first (global-norm clipping)
 */
public record AdamWStep(
    double learningRate,
    double beta1,
    double beta2,
    double epsilon,
    long step,
    double gradientScale) {}
