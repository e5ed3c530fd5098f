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
   * @param firstEpoch the epoch to work in if none has begun yet
   * @return its number, from 1
   */
  public int begin(int firstEpoch) {
    epoch = Math.max(epoch, firstEpoch);
    return ++count;
  }

  /** The placement epoch to work in. */
  public int epoch() {
    return epoch;
  }

  /**
   * Hears of an epoch.
   *
   * @return whether it is a new one
   */
  public boolean advance(int next) {
    boolean isNew = next > epoch;
    epoch = Math.max(epoch, next);
    return isNew;
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
