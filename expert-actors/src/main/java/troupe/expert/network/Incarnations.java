package troupe.expert.network;

import troupe.core.UserException;
import troupe.core.tensor.DeviceException;

/**
 * What outlives the incarnations of an actor beside its committed state: how many there were, the
 * epoch they work in, and why the last one ended.
 */
public final class Incarnations {
  private int count;
  private int epoch;
  private RuntimeException lastFailure;

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

  /** What the last incarnation threw, or {@code null} if none has. */
  public RuntimeException lastFailure() {
    return lastFailure;
  }

  /** The same in one line. */
  public String lastCause() {
    return lastFailure == null ? "" : lastFailure.toString();
  }

  /**
   * The incarnation at hand has thrown.
   *
   * @return whether another one may do better: not where the user has to correct something, as when
   *     memory is used up, nor on a device that computes nothing any more
   */
  public boolean failed(RuntimeException cause) {
    lastFailure = cause;
    boolean isMistake = cause instanceof UserException;
    boolean isLost = cause instanceof DeviceException device && device.isLost();
    return !isMistake && !isLost;
  }
}
