package troupe.expert.network;

/**
 * What outlives the incarnations of an actor beside its committed state: how many there were, the
 * epoch they work in, and why the last one ended.
 */
public final class Incarnations {
  private int count;
  private int epoch;
  private String lastFailure = "";

  /**
   * Begins one more incarnation.
   *
   * @param inEpoch the epoch to work in
   * @return its number in that epoch, from 1
   */
  public int begin(int inEpoch) {
    if (inEpoch != epoch) {
      epoch = inEpoch;
      count = 0;
    }
    return ++count;
  }

  /** The placement epoch to work in. */
  public int epoch() {
    return epoch;
  }

  /** What the last incarnation threw, in one line. */
  public String lastFailure() {
    return lastFailure;
  }

  /** The incarnation at hand has thrown. */
  public void failed(RuntimeException cause) {
    lastFailure = cause.toString();
  }
}
