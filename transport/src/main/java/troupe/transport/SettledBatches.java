package troupe.transport;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What became of the batches settled last, so that a late frame of theirs does not begin them
 * again. Bounded: older ones are forgotten.
 */
final class SettledBatches {
  private final Map<BatchId, Verdict> verdicts;

  SettledBatches(int capacity) {
    verdicts =
        new LinkedHashMap<>() {
          @Override
          protected boolean removeEldestEntry(Map.Entry<BatchId, Verdict> eldest) {
            return size() > capacity;
          }
        };
  }

  /** From now on, frames of this batch get this verdict. */
  void settle(BatchId batch, Verdict verdict) {
    verdicts.put(batch, verdict);
  }

  /** The verdict on frames of this batch, or {@code null} if it is not known here. */
  Verdict of(BatchId batch) {
    return verdicts.get(batch);
  }
}
