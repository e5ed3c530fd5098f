package troupe.core.tensor.cuda;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import troupe.core.tensor.cuda.driver.CudaException;
import troupe.core.tensor.cuda.driver.Driver;

/**
 * The shelves of GPUs of other processes, and copies from them, in the stream of what comes from
 * other processes. What is open keeps its memory from being freed, also when its process has ended:
 * so it is closed once that is known, and no copy needs it.
 *
 * <p>A copy of what is not there yet waits for its signal in the stream, and all that follow it
 * there. That holds nobody up for ever: all that a signal waits for was asked of GPUs before, so no
 * two wait for each other, and in place of a process that gives none it is forged.
 */
final class Neighbours implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Neighbours.class);

  private final Gpu gpu;
  private final Driver driver;
  private final EventRing events;
  private final Map<Key, Open> opened = new HashMap<>();
  private final List<Open> closing = new ArrayList<>();
  private final Set<Integer> outOfReach = new HashSet<>();

  /** Signals that a copy may wait for. */
  private final Queue<Copy> awaited = new ConcurrentLinkedQueue<>();

  /**
   * What a process lends.
   *
   * @param name the driver's, of a part of its shelf, or that of the file of its signals
   */
  private record Key(int lender, Object name) {}

  /** A part of a shelf, or signals. */
  private static final class Open {
    /** 0 of signals. */
    private final long address;

    /** Null of a part of a shelf. */
    private final Signals signals;

    /** The end of the last copy. */
    private long over;

    Open(long address, Signals signals) {
      this.address = address;
      this.signals = signals;
    }
  }

  /** A copy that is queued. */
  final class Copy {
    private final long over;

    /** What it waits for; null if for nothing. */
    private final Signals signals;

    private final int number;

    private Copy(long over, Signals signals, int number) {
      this.over = over;
      this.signals = signals;
      this.number = number;
    }

    /** Whether what it waits for was said; asks no driver, which others want meanwhile. */
    private boolean hasBegun() {
      return signals == null || signals.isGiven(number);
    }

    /** Whether nothing reads the shelf any more. */
    boolean isOver() {
      return hasBegun() && gpu.isDone(over);
    }

    /** Has it wait no longer. */
    void abandon() {
      if (signals != null) {
        signals.forge(number);
      }
    }
  }

  Neighbours(Gpu gpu) {
    this.gpu = gpu;
    this.driver = gpu.driver();
    this.events = new EventRing(gpu);
  }

  /**
   * Whether this GPU can copy from there.
   *
   * @param lender the number of the process
   */
  synchronized boolean reaches(int lender, ShelfPlace place) {
    closeIdle();
    return part(lender, place) != null
        && (place.signal() == null || signals(lender, place.signal()) != null);
  }

  private Open part(int lender, ShelfPlace place) {
    return open(
        new Key(lender, place.handle()),
        () -> new Open(driver.openShared(place.handleBytes()), null));
  }

  private Open signals(int lender, ShelfPlace.Signal signal) {
    return open(
        new Key(lender, signal.file()),
        () -> new Open(0, Signals.open(gpu, Path.of(signal.file()))));
  }

  /** How something is opened. */
  @FunctionalInterface
  private interface Opening {
    Open open() throws IOException;
  }

  private Open open(Key key, Opening how) {
    if (outOfReach.contains(key.lender())) {
      return null;
    }
    Open known = opened.get(key);
    if (known != null || gpu.hangs()) {
      return known;
    }
    gpu.enter();
    try {
      Open open = how.open();
      opened.put(key, open);
      return open;
    } catch (CudaException e) {
      giveUp(key.lender(), e);
    } catch (IOException e) {
      giveUp(key.lender(), e.toString());
    }
    return null;
  }

  private void giveUp(int lender, CudaException e) {
    if (e.isLost()) {
      throw gpu.explain(e);
    }
    giveUp(lender, e.line());
  }

  private void giveUp(int lender, String cause) {
    closeAllOf(lender);
    outOfReach.add(lender);
    LOG.info(
        "cuda:{}: rows of node {} cannot be copied from its GPU ({}): they come through memory of"
            + " the host",
        gpu.index(),
        lender,
        cause);
  }

  /**
   * Queues a copy to memory that was allocated for the stream.
   *
   * @return {@code null} if it cannot be made, for two GPUs without a link may show it only then
   */
  synchronized Copy copy(Block to, int lender, ShelfPlace from, long bytes) {
    ShelfPlace.Signal signal = from.signal();
    Open open = part(lender, from);
    Open given = signal == null || open == null ? null : signals(lender, signal);
    gpu.enter();
    long address = to.address();
    boolean isPossible = open != null && (given != null || signal == null);
    CudaException failure = null;
    try {
      if (isPossible && given != null) {
        given.signals.await(gpu.fromHostStream(), signal.number());
      }
      if (isPossible) {
        driver.copy(address, open.address + from.offset(), bytes, gpu.fromHostStream());
      }
    } catch (CudaException e) {
      failure = e;
    }
    // Whoever uses the memory, or frees it, has to come after the stream in any case.
    long over = events.record(gpu.fromHostStream());
    to.arrivesAt(over);
    if (open != null) {
      open.over = over;
    }
    if (given != null) {
      given.over = over;
    }
    Copy copy =
        given == null ? new Copy(over, null, 0) : new Copy(over, given.signals, signal.number());
    if (failure != null) {
      copy.abandon();
      giveUp(lender, failure);
    } else if (given != null) {
      awaited.removeIf(Copy::hasBegun);
      awaited.add(copy);
    }
    return isPossible && failure == null ? copy : null;
  }

  /** Whether this GPU has to wait for one of another process. Waits for nobody. */
  boolean waitsForOthers() {
    return awaited.stream().anyMatch(copy -> !copy.hasBegun());
  }

  /** Closes what a process lent, as soon as no copy needs it. */
  synchronized void forget(int lender) {
    outOfReach.remove(lender);
    closeAllOf(lender);
  }

  private void closeAllOf(int lender) {
    Iterator<Map.Entry<Key, Open>> each = opened.entrySet().iterator();
    while (each.hasNext()) {
      Map.Entry<Key, Open> entry = each.next();
      if (entry.getKey().lender() == lender) {
        closing.add(entry.getValue());
        each.remove();
      }
    }
    closeIdle();
  }

  private void closeIdle() {
    if (!closing.isEmpty() && !gpu.hangs()) {
      closing.removeIf(
          open -> {
            boolean isIdle = open.over == 0 || gpu.isDone(open.over);
            if (isIdle) {
              close(open);
            }
            return isIdle;
          });
    }
  }

  private void close(Open open) {
    gpu.enter();
    try {
      if (open.signals == null) {
        driver.closeShared(open.address);
      } else {
        open.signals.close();
      }
    } catch (CudaException e) {
      LOG.warn("cuda:{}: {}", gpu.index(), e.line());
    }
  }

  @Override
  public synchronized void close() {
    gpu.enter();
    closing.addAll(opened.values());
    opened.clear();
    closing.forEach(this::close);
    closing.clear();
    events.close();
  }
}
