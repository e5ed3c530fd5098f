package troupe.transport;

import java.util.concurrent.locks.LockSupport;
import org.agrona.concurrent.IdleStrategy;

/**
 * How the transport's own thread idles: long at a time while others do its work, since it would
 * only take the processor from them; as {@code otherwise} says when nobody has for a while.
 */
final class StandInIdle implements IdleStrategy {
  private final TransportAgent agent;
  private final long parkNs;
  private final IdleStrategy otherwise;

  /**
   * An idle strategy of one thread.
   *
   * @param parkNs how long it sleeps at a time while others help, at least once in twice as long
   */
  StandInIdle(TransportAgent agent, long parkNs, IdleStrategy otherwise) {
    this.agent = agent;
    this.parkNs = parkNs;
    this.otherwise = otherwise;
  }

  @Override
  public void idle(int workCount) {
    if (workCount == 0 && agent.sinceHelpedNs() < 2 * parkNs) {
      LockSupport.parkNanos(this, parkNs);
    } else {
      otherwise.idle(workCount);
    }
  }

  @Override
  public void idle() {
    otherwise.idle();
  }

  @Override
  public void reset() {
    otherwise.reset();
  }
}
