package troupe.router.pass;

/**
 * Numbers that should be finite are not; training cannot go on. The message says where they first
 * appear.
 */
public final class DivergedException extends RuntimeException {
  private static final long serialVersionUID = 1;

  /** A divergence at {@code where}. */
  public DivergedException(String where) {
    super(where);
  }
}
