package troupe.core.tensor.cuda;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import troupe.core.tensor.cuda.driver.CudaException;
import troupe.core.tensor.cuda.driver.Driver;

/**
 * The shelves of GPUs of other processes, and copies from them, in the stream of what comes from
 * other processes. What is open keeps its memory from being freed, also when its process has ended:
 * so it is closed once that is known, and no copy needs it.
 */
final class Neighbours implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Neighbours.class);

  private final Gpu gpu;
  private final Driver driver;
  private final EventRing events;
  private final Map<Key, Open> opened = new HashMap<>();
  private final List<Open> closing = new ArrayList<>();
  private final Set<Integer> outOfReach = new HashSet<>();

  private record Key(int lender, ByteBuffer handle) {}

  /** A part of a shelf. */
  private static final class Open {
    private final long address;

    /** The end of the last copy. */
    private long over;

    Open(long address) {
      this.address = address;
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
    return open(lender, place) != null;
  }

  private Open open(int lender, ShelfPlace place) {
    if (outOfReach.contains(lender)) {
      return null;
    }
    Key key = new Key(lender, place.handle());
    Open known = opened.get(key);
    if (known != null || gpu.hangs()) {
      return known;
    }
    gpu.enter();
    try {
      Open open = new Open(driver.openShared(place.handleBytes()));
      opened.put(key, open);
      return open;
    } catch (CudaException e) {
      giveUp(lender, e);
      return null;
    }
  }

  private void giveUp(int lender, CudaException e) {
    if (e.isLost()) {
      throw gpu.explain(e);
    }
    closeAllOf(lender);
    outOfReach.add(lender);
    LOG.info(
        "cuda:{}: rows of node {} cannot be copied from its GPU ({}): they come through memory of"
            + " the host",
        gpu.index(),
        lender,
        e.line());
  }

  /**
   * Queues a copy to memory that was allocated for the stream.
   *
   * @return the event at which it is over; 0 if it cannot be made, for two GPUs without a link may
   *     show it only then
   */
  synchronized long copy(Block to, int lender, ShelfPlace from, long bytes) {
    Open open = open(lender, from);
    gpu.enter();
    long address = to.address();
    boolean isUnderWay = false;
    try {
      if (open != null) {
        driver.copy(address, open.address + from.offset(), bytes, gpu.fromHostStream());
        isUnderWay = true;
      }
    } catch (CudaException e) {
      giveUp(lender, e);
    }
    // Whoever uses the memory, or frees it, has to come after the stream in any case.
    long over = events.record(gpu.fromHostStream());
    to.arrivesAt(over);
    if (open != null) {
      open.over = over;
    }
    return isUnderWay ? over : 0;
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
      driver.closeShared(open.address);
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
