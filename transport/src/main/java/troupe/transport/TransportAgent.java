package troupe.transport;

import java.util.List;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.ReentrantLock;
import org.agrona.ErrorHandler;
import org.agrona.concurrent.Agent;
import org.agrona.concurrent.NanoClock;

/**
 * All that a strand of a transport does, by one thread at a time: its own, which alone may wait for
 * Aeron's driver, or one that {@linkplain #help helps} with what never waits.
 */
final class TransportAgent implements Agent {
  /** A helper has other things to do: at most 64 frames each way, 4 MiB. */
  private static final int ROUNDS = 16;

  private final SendSide sending;
  private final List<ReceiveSide> receiving;
  private final DriverClient client;
  private final ErrorHandler errors;
  private final LongAdder busyNs;
  private final NanoClock clock;
  private final ReentrantLock lock;
  private volatile boolean asked;
  private volatile long helpedNs;
  private boolean closed;

  /**
   * An agent that has done nothing.
   *
   * @param client that of this node's own driver, worked by the first strand; null for others
   * @param busyNs gets the time that helpers spend on something
   */
  TransportAgent(
      SendSide sending,
      List<ReceiveSide> receiving,
      ReentrantLock lock,
      DriverClient client,
      ErrorHandler errors,
      LongAdder busyNs,
      NanoClock clock) {
    this.sending = sending;
    this.receiving = List.copyOf(receiving);
    this.lock = lock;
    this.client = client;
    this.errors = errors;
    this.busyNs = busyNs;
    this.clock = clock;
    this.helpedNs = clock.nanoTime() - Long.MAX_VALUE / 2;
  }

  /** From any thread: the next round includes this node. */
  void add(Peer peer) {
    sending.add(peer);
  }

  @Override
  public int doWork() {
    lock.lock();
    try {
      asked = false;
      int work = sending.doWork();
      for (int i = 0; i < receiving.size(); i++) {
        work += receiving.get(i).doWork();
      }
      return client == null ? work : work + client.work(clock.nanoTime());
    } finally {
      lock.unlock();
    }
  }

  /**
   * Sends and receives on the calling thread, unless another is at it, who then does this too.
   *
   * @return whether this thread sent or received anything
   */
  boolean help() {
    int work = 0;
    asked = true;
    // Asked for again while it held the lock: by someone who could not have it.
    while (asked && lock.tryLock()) {
      try {
        asked = false;
        work += closed ? 0 : move();
      } finally {
        lock.unlock();
      }
    }
    return work > 0;
  }

  /** How long ago somebody helped. */
  long sinceHelpedNs() {
    return clock.nanoTime() - helpedNs;
  }

  private int move() {
    long startNs = clock.nanoTime();
    int work = 0;
    for (int round = 0; round < ROUNDS; round++) {
      int moved = round();
      work += moved;
      if (moved == 0) {
        break;
      }
    }
    helpedNs = clock.nanoTime();
    if (work > 0) {
      busyNs.add(helpedNs - startNs);
    }
    return work;
  }

  /** As for the transport's own thread: an error is told and ends the round, not the helper. */
  private int round() {
    try {
      int moved = sending.send();
      for (int i = 0; i < receiving.size(); i++) {
        moved += receiving.get(i).receive();
      }
      return moved;
    } catch (RuntimeException e) {
      errors.onError(e);
      return 0;
    }
  }

  @Override
  public void onClose() {
    lock.lock();
    try {
      closed = true;
      sending.close();
    } finally {
      receiving.forEach(ReceiveSide::close);
      lock.unlock();
    }
  }

  @Override
  public String roleName() {
    return "transport";
  }
}
