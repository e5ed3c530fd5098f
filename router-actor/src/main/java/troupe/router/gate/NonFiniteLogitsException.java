package troupe.router.gate;

/** Router logits of a token are NaN or infinite. */
public final class NonFiniteLogitsException extends RuntimeException {
  private static final long serialVersionUID = 1;
  private final int token;

  /** The first logit that is not finite, by token, then by expert. */
  public NonFiniteLogitsException(int token, int expert, double logit) {
    super(
        "logit of token " + token + " for expert " + expert + ": " + logit + " (expected: finite)");
    this.token = token;
  }

  /** The first such token. */
  public int token() {
    return token;
  }
}
