package troupe.coordinator.host;

import java.util.Collections;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The copies that a node keeps: of its own state, and of that of other nodes. Holds one reference
 * to each; dropping a copy that someone reads frees it when that reader is done. Safe to use from
 * several threads.
 */
public final class ShardStore implements AutoCloseable {
  /**
   * Copies of a shard at different steps: the last ones known to be everywhere, those on their way,
   * and what an epoch began from.
   */
  static final int STEPS_A_SHARD = 3;

  private static final Logger LOG = LoggerFactory.getLogger(ShardStore.class);

  private final Map<ShardId, NavigableMap<Long, ShardCopy>> copies = new TreeMap<>();
  private boolean closed;

  /**
   * Keeps a copy; the caller's reference becomes the store's. Replaces one of the same shard and
   * step: after a roll-back that is the one of the newer epoch. A copy too many drops the oldest of
   * its shard.
   */
  public synchronized void put(ShardCopy copy) {
    if (closed) {
      copy.release();
      return;
    }
    NavigableMap<Long, ShardCopy> steps =
        copies.computeIfAbsent(copy.shard(), key -> new TreeMap<>());
    ShardCopy replaced = steps.put(copy.step(), copy);
    if (replaced != null) {
      replaced.release();
    }
    if (steps.size() > STEPS_A_SHARD) {
      ShardCopy oldest = steps.pollFirstEntry().getValue();
      LOG.warn("shard={} dropped step={} held={}", oldest.shard(), oldest.step(), steps.keySet());
      oldest.release();
    }
  }

  /** A copy, retained for the caller, who releases it. */
  public synchronized Optional<ShardCopy> get(ShardId shard, long step) {
    NavigableMap<Long, ShardCopy> steps =
        copies.getOrDefault(shard, Collections.emptyNavigableMap());
    return Optional.ofNullable(steps.get(step)).map(ShardCopy::retain);
  }

  /** The steps at which a shard is held. */
  public synchronized SortedSet<Long> steps(ShardId shard) {
    NavigableMap<Long, ShardCopy> steps = copies.get(shard);
    return steps == null ? new TreeSet<>() : new TreeSet<>(steps.keySet());
  }

  /** For each shard that is held, the steps; what an {@link Inventory} says of copies. */
  public synchronized SortedMap<ShardId, SortedSet<Long>> held() {
    SortedMap<ShardId, SortedSet<Long>> held = new TreeMap<>();
    copies.forEach((shard, steps) -> held.put(shard, new TreeSet<>(steps.keySet())));
    return held;
  }

  /** Drops copies older than {@code step}. */
  public synchronized void keepFrom(long step) {
    copies.values().forEach(steps -> drop(steps.headMap(step, false)));
    forgetEmpty();
  }

  /** Drops copies newer than {@code step}: a new epoch goes on from it, and they never were. */
  public synchronized void dropNewerThan(long step) {
    copies.values().forEach(steps -> drop(steps.tailMap(step, false)));
    forgetEmpty();
  }

  /** Drops all copies but those of {@code step}. */
  public synchronized void retainOnly(long step) {
    keepFrom(step);
    dropNewerThan(step);
  }

  /** Bytes of all copies that are kept. */
  public synchronized long bytes() {
    return copies.values().stream()
        .flatMap(steps -> steps.values().stream())
        .mapToLong(copy -> copy.bytes().byteSize())
        .sum();
  }

  /** Drops all copies, and what is put from now on. */
  @Override
  public synchronized void close() {
    closed = true;
    copies.values().forEach(ShardStore::drop);
    copies.clear();
  }

  private static void drop(Map<Long, ShardCopy> unwanted) {
    unwanted.values().forEach(ShardCopy::release);
    unwanted.clear();
  }

  private void forgetEmpty() {
    copies.values().removeIf(Map::isEmpty);
  }
}
