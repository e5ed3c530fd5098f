package troupe.coordinator.chaos;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import troupe.coordinator.chaos.Disturbance.Kind;
import troupe.coordinator.chaos.Observation.Happened;

/** Watches a run while others disturb it, and keeps account of every fault. For one thread. */
final class Onlooker {
  /** Short against any step worth training. */
  private static final long POLL_MS = 20;

  private static final String RESTARTED = "restarted";

  private final RunWatch watch;
  private final List<Recovery> faults = new ArrayList<>();

  Onlooker(RunWatch watch) {
    this.watch = watch;
  }

  /** Looks on until a condition holds; whether it did in time. It is checked after every look. */
  boolean await(Duration timeout, BooleanSupplier condition) throws InterruptedException {
    long deadlineMs = nowMs() + timeout.toMillis();
    while (true) {
      look();
      if (condition.getAsBoolean()) {
        return true;
      }
      if (nowMs() >= deadlineMs) {
        return false;
      }
      TimeUnit.MILLISECONDS.sleep(POLL_MS);
    }
  }

  /** A fault strikes now. */
  Recovery fault(Kind kind, String who) {
    look();
    Recovery recovery = new Recovery(kind, who, nowMs(), watch.highestStep());
    faults.add(recovery);
    return recovery;
  }

  /** A fault that in the end was none. */
  void forget(Recovery fault) {
    faults.remove(fault);
  }

  /** The last step ever committed. */
  long highestStep() {
    return watch.highestStep();
  }

  /** What the faults cost, in their order. */
  List<FaultResult> results(long beginMs) {
    return faults.stream().map(fault -> fault.result(beginMs)).toList();
  }

  /** The share of a time in which no fault was being recovered from; overlaps count once. */
  double trainingShare(long beginMs, long endMs) {
    long lostMs = 0;
    long countedMs = beginMs;
    List<Recovery> inOrder =
        faults.stream().sorted(Comparator.comparingLong(Recovery::startMs)).toList();
    for (Recovery fault : inOrder) {
      long from = Math.max(countedMs, fault.startMs());
      long to = Math.min(endMs, fault.endMs(endMs));
      lostMs += Math.max(0, to - from);
      countedMs = Math.max(countedMs, to);
    }
    return endMs > beginMs ? 1 - (double) lostMs / (endMs - beginMs) : 0;
  }

  static long nowMs() {
    return System.nanoTime() / 1_000_000;
  }

  private void look() {
    try {
      for (Observation seen : watch.poll(nowMs())) {
        boolean quiet = faults.stream().allMatch(Recovery::isRegained);
        faults.forEach(fault -> fault.observe(seen));
        // In the wake of another fault it is part of that one.
        if (quiet && seen instanceof Happened event && event.name().equals(RESTARTED)) {
          String who = event.fields().has("who") ? event.fields().get("who").getAsString() : "?";
          faults.add(new Recovery(Kind.EXPERT_THROWS, who, seen.atMs(), watch.highestStep()));
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
