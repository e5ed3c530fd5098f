package troupe.transport;

import java.io.IOException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Predicate;
import troupe.transport.Returns.Answer;

/**
 * Batches that processes of this machine lend to this one. Whatever becomes of one, its lender is
 * told: at once, or when the rows are copied. All strands share one, for a lender's notices may
 * come by another strand when its stream begins anew.
 */
final class PickUps {
  private final Path folder;
  private final BatchReceiver receiver;
  private final TransportEvents events;
  private final LiveCounters counters;
  private final ReentrantLock lock = new ReentrantLock();

  /** Changed under the lock, but read by whoever begins an epoch, who waits for nobody. */
  private final Map<Long, Lender> lenders = new ConcurrentHashMap<>();

  private final AtomicInteger epoch = new AtomicInteger(Integer.MIN_VALUE);

  /**
   * Who lends, which loan is the next, and what is being copied: none waits for another's copies.
   */
  private static final class Lender {
    private final int node;
    private final Returns returns;
    private final Queue<Copy> copies = new ConcurrentLinkedQueue<>();
    private long next = 1;

    Lender(int node, Returns returns) {
      this.node = node;
      this.returns = returns;
    }

    /**
     * Whether a loan is new. Loans come in order but for connections that end: notices that were
     * lost with one are passed over, and one that comes later all the same is not taken.
     */
    boolean isNew(long number) {
      if (number < next) {
        return false;
      }
      // Of older ones the lender has heard.
      next = Math.max(next, number - Returns.CAPACITY + 1);
      while (next < number) {
        returns.put(next++, Answer.DONE);
      }
      next++;
      return true;
    }

    void abandonIf(Predicate<Copy> isGivenUp) {
      for (Copy copy : copies) {
        if (isGivenUp.test(copy)) {
          copy.pickUp().abandon().run();
        }
      }
    }
  }

  /** A copy under way. */
  private record Copy(long number, int epoch, PickUp pickUp) {}

  /**
   * Nothing lent yet.
   *
   * @param folder that of this node's driver
   */
  PickUps(Path folder, BatchReceiver receiver, TransportEvents events, LiveCounters counters) {
    this.folder = folder;
    this.receiver = receiver;
    this.events = events;
    this.counters = counters;
  }

  /**
   * Takes a notice.
   *
   * @param wanted whether the batch is of this run and epoch, and not too large
   */
  Verdict onNotice(Notice notice, BatchHeader header, Verdict wanted) {
    PickUp pickUp;
    lock.lock();
    try {
      Lender lender = lender(notice);
      if (lender == null) {
        return refuse();
      }
      if (!lender.isNew(notice.number())) {
        return Verdict.DUPLICATE;
      }
      if (wanted != Verdict.ACCEPTED) {
        lender.returns.put(notice.number(), Answer.DONE);
        return wanted;
      }
      pickUp = begin(notice, header);
      if (pickUp == null) {
        lender.returns.put(notice.number(), Answer.DONE);
        return refuse();
      }
      if (pickUp == PickUp.OUT_OF_REACH) {
        lender.returns.put(notice.number(), Answer.OUT_OF_REACH);
        return Verdict.DISCARDED;
      }
      lender.copies.add(new Copy(notice.number(), header.epoch(), pickUp));
      if (header.epoch() < epoch.get()) {
        // It has begun meanwhile.
        pickUp.abandon().run();
      }
    } finally {
      lock.unlock();
    }
    counters.of(Way.PICK_UP).received(header.payloadBytes());
    try {
      receiver.onBatch(header, pickUp.payload());
    } catch (RuntimeException e) {
      events.onError(e);
    }
    return Verdict.ACCEPTED;
  }

  /**
   * An epoch begins: whoever lent something in an older one may be dead, so nothing waits for that
   * any more. What was computed with it is of no account by now, see {@link Phase#isProvisional}.
   * No lock is taken: who has it may wait for a device that waits for the lender.
   */
  void epoch(int newEpoch) {
    epoch.accumulateAndGet(newEpoch, Math::max);
    lenders.values().forEach(lender -> lender.abandonIf(copy -> copy.epoch() < newEpoch));
  }

  private Verdict refuse() {
    counters.refusedBatches.increment();
    return Verdict.DISCARDED;
  }

  private Lender lender(Notice notice) {
    Lender known = lenders.get(notice.lender());
    if (known != null) {
      return known;
    }
    try {
      Returns returns = Returns.open(Returns.file(folder, notice.lender()));
      Lender lender = new Lender(notice.node(), returns);
      lenders.put(notice.lender(), lender);
      return lender;
    } catch (NoSuchFileException e) {
      return null; // The lender has ended, or wants nothing back.
    } catch (IOException e) {
      events.onError(e);
      return null;
    }
  }

  private PickUp begin(Notice notice, BatchHeader header) {
    try {
      return receiver.pickUp(notice.node(), header, notice.reference());
    } catch (RuntimeException | OutOfMemoryError e) {
      events.onError(e);
      return PickUp.OUT_OF_REACH; // It may come another way.
    }
  }

  /** Gives back what is copied, unless another thread is at it. Returns how many there were. */
  int giveBack() {
    if (!lock.tryLock()) {
      return 0;
    }
    try {
      int given = 0;
      for (Lender lender : lenders.values()) {
        given += giveBack(lender);
      }
      return given;
    } finally {
      lock.unlock();
    }
  }

  private int giveBack(Lender lender) {
    int given = 0;
    for (Copy first = lender.copies.peek();
        first != null && isOver(first);
        first = lender.copies.peek()) {
      lender.copies.remove();
      lender.returns.put(first.number(), Answer.DONE);
      given++;
    }
    return given;
  }

  private boolean isOver(Copy copy) {
    try {
      return copy.pickUp().over().getAsBoolean();
    } catch (RuntimeException e) {
      // The device is lost: nobody reads with it any more.
      events.onError(e);
      return true;
    }
  }

  /** A node is gone, or has no say any more. */
  void forget(int node) {
    abandonAllOf(node);
    lock.lock();
    try {
      abandonAllOf(node);
      lenders
          .values()
          .removeIf(
              lender -> {
                boolean isGone = lender.node == node;
                if (isGone) {
                  lender.returns.close();
                }
                return isGone;
              });
    } finally {
      lock.unlock();
    }
    try {
      receiver.forget(node);
    } catch (RuntimeException e) {
      events.onError(e);
    }
  }

  private void abandonAllOf(int node) {
    lenders.values().forEach(lender -> lender.abandonIf(_ -> lender.node == node));
  }

  void close() {
    lenders.values().forEach(lender -> lender.abandonIf(_ -> true));
    lock.lock();
    try {
      lenders.values().forEach(lender -> lender.returns.close());
      lenders.clear();
    } finally {
      lock.unlock();
    }
  }
}
