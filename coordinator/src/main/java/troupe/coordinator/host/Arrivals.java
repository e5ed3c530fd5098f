package troupe.coordinator.host;

import java.util.HashMap;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import java.util.TreeSet;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import troupe.transport.BatchHeader;
import troupe.transport.BatchReceiver;
import troupe.transport.Payload;
import troupe.transport.Phase;

/**
 * Puts the parts of shards that other nodes send together. Each part goes straight to its place in
 * the one copy that becomes the shard; parts may come twice and in any order. Takes batches of the
 * phases REPLICA, RESTORE and CHECKPOINT only, and of one epoch at a time. Safe to use from several
 * threads.
 *
 * <p>Memory is bounded: for each phase and shard at most {@link #INCOMPLETE_STEPS} are incomplete,
 * newer ones displacing older.
 */
public final class Arrivals implements BatchReceiver {
  /** The one on its way, and the next one from a sender who is ahead of this node. */
  private static final int INCOMPLETE_STEPS = 2;

  /** How many finished ones are recognised when they are sent again. */
  private static final int REMEMBERED_STEPS = 4;

  private static final Logger LOG = LoggerFactory.getLogger(Arrivals.class);

  private final long runId;
  private final ShardMemory memory;
  private final Listener listener;
  private final Map<Lane, Steps> lanes = new HashMap<>();
  private int epoch = Integer.MIN_VALUE;
  private boolean open;

  /** Told what has arrived, on threads of the transport; must not block. */
  public interface Listener {
    /** A shard is whole, said once. The reference to {@code copy} is the listener's. */
    void onWhole(int epoch, Phase phase, ShardCopy copy);

    /**
     * A part came of a shard that has been whole in this epoch: its sender has not heard so. May be
     * said for every part.
     */
    void onRepeated(int epoch, Phase phase, ShardId shard, long step);
  }

  private record Lane(Phase phase, ShardId shard) {}

  private static final class Steps {
    final NavigableMap<Long, ShardAssembly> incomplete = new TreeMap<>();
    final TreeSet<Long> whole = new TreeSet<>();
  }

  /**
   * Nothing is taken until {@link #epoch} was called.
   *
   * @param memory where shards are put together
   */
  public Arrivals(long runId, ShardMemory memory, Listener listener) {
    this.runId = runId;
    this.memory = memory;
    this.listener = listener;
  }

  /**
   * From now on only parts sent in this epoch are taken; what is incomplete is freed. Does nothing
   * for an epoch that is not newer.
   */
  public synchronized void epoch(int newEpoch) {
    if (newEpoch > epoch) {
      epoch = newEpoch;
      open = true;
      clear();
    }
  }

  /** Takes nothing more and frees what is incomplete. */
  public synchronized void close() {
    epoch = Integer.MAX_VALUE;
    open = false;
    clear();
  }

  private void clear() {
    lanes.values().forEach(steps -> steps.incomplete.values().forEach(ShardAssembly::abandon));
    lanes.clear();
  }

  /** Bytes of shards that are incomplete. */
  public synchronized long incompleteBytes() {
    return lanes.values().stream()
        .flatMap(steps -> steps.incomplete.values().stream())
        .mapToLong(ShardAssembly::byteSize)
        .sum();
  }

  @Override
  public Payload allocate(BatchHeader header) {
    ShardChunk chunk = chunk(header);
    if (chunk == null) {
      return null;
    }
    boolean repeated;
    synchronized (this) {
      if (!isCurrent(header.epoch())) {
        return null;
      }
      repeated = isWhole(chunk);
      ShardAssembly assembly = repeated ? null : assembly(chunk);
      if (assembly != null) {
        // A part that is there already is written again with the same bytes.
        return assembly.place(chunk);
      }
    }
    if (repeated) {
      listener.onRepeated(header.epoch(), chunk.phase(), chunk.shard(), chunk.step());
    }
    return null;
  }

  /** {@inheritDoc} A payload that came by a hand-off is copied; in any case it is released. */
  @Override
  public void onBatch(BatchHeader header, Payload payload) {
    ShardChunk chunk = chunk(header);
    try {
      if (chunk != null) {
        onChunk(header.epoch(), chunk, payload);
      }
    } finally {
      payload.release();
    }
  }

  private void onChunk(int chunkEpoch, ShardChunk chunk, Payload payload) {
    ShardCopy whole = null;
    synchronized (this) {
      if (!isCurrent(chunkEpoch)) {
        return;
      }
      if (!isWhole(chunk)) {
        ShardAssembly assembly = assembly(chunk);
        if (assembly == null) {
          return;
        }
        assembly.add(chunk, payload);
        if (!assembly.isWhole()) {
          return;
        }
        whole = complete(chunk, assembly);
      }
    }
    // Outside the lock: who listens may take locks of its own.
    if (whole != null) {
      listener.onWhole(chunkEpoch, chunk.phase(), whole);
    } else {
      listener.onRepeated(chunkEpoch, chunk.phase(), chunk.shard(), chunk.step());
    }
  }

  private ShardChunk chunk(BatchHeader header) {
    return header.runId() == runId ? ShardChunk.of(header, memory.catalog()) : null;
  }

  private boolean isCurrent(int other) {
    return open && other == epoch;
  }

  private boolean isWhole(ShardChunk chunk) {
    return steps(chunk).whole.contains(chunk.step());
  }

  /** The assembly that a chunk belongs to, begun if need be; {@code null} if there is no place. */
  private ShardAssembly assembly(ShardChunk chunk) {
    NavigableMap<Long, ShardAssembly> incomplete = steps(chunk).incomplete;
    ShardAssembly assembly = incomplete.get(chunk.step());
    if (assembly != null) {
      return assembly;
    }
    if (incomplete.size() == INCOMPLETE_STEPS) {
      if (chunk.step() < incomplete.firstKey()) {
        return null;
      }
      ShardAssembly displaced = incomplete.pollFirstEntry().getValue();
      LOG.info("phase={} displaced={} by step={}", chunk.phase(), displaced, chunk.step());
      displaced.abandon();
    }
    assembly = new ShardAssembly(memory, chunk.shard(), chunk.step());
    incomplete.put(chunk.step(), assembly);
    return assembly;
  }

  private ShardCopy complete(ShardChunk chunk, ShardAssembly assembly) {
    Steps steps = steps(chunk);
    steps.incomplete.remove(chunk.step());
    steps.whole.add(chunk.step());
    if (steps.whole.size() > REMEMBERED_STEPS) {
      steps.whole.pollFirst();
    }
    return assembly.copy();
  }

  private Steps steps(ShardChunk chunk) {
    return lanes.computeIfAbsent(new Lane(chunk.phase(), chunk.shard()), lane -> new Steps());
  }
}
