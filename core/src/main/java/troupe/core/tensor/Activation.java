package troupe.core.tensor;

/** Activation functions of a feed-forward network. */
public enum Activation {
  /** GELU in its tanh form: {@code 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))}. */
  GELU,
  /** {@code max(0, x)}. */
  RELU,
  /**
   * SwiGLU: {@code silu(a) * b} with {@code silu(a) = a / (1 + exp(-a))}; the pre-activation holds
   * {@code [a | b]} side by side and is twice as wide as the output (Shazeer, arXiv 2002.05202).
   */
  SWIGLU;

  /** Width of the pre-activation for an output of width {@code ff}. */
  public int preWidth(int ff) {
    return this == SWIGLU ? 2 * ff : ff;
  }
}
