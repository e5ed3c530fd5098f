package troupe.coordinator.host;

import troupe.transport.Phase;

/** A shard on its way to a node. Holds one reference to the copy. Used by one thread. */
final class Transfer {
  private final Phase phase;
  private final ShardCopy copy;
  private final int chunks;
  private int next;
  private int attempts;
  private long lastProgressNs;

  Transfer(Phase phase, ShardCopy copy, ShardCatalog catalog) {
    this.phase = phase;
    this.copy = copy;
    this.chunks = ShardChunk.count(catalog.elements(copy.shard()));
  }

  Phase phase() {
    return phase;
  }

  ShardCopy copy() {
    return copy;
  }

  boolean is(Phase otherPhase, ShardId shard, long step) {
    return phase == otherPhase && copy.step() == step && copy.shard().equals(shard);
  }

  /** Begins with the first chunk, for the first time or again. */
  void start(long nowNs) {
    attempts++;
    next = 0;
    lastProgressNs = nowNs;
  }

  /** How often it was begun. */
  int attempts() {
    return attempts;
  }

  /** The chunk to be sent next. */
  ShardChunk chunk() {
    return new ShardChunk(phase, copy.shard(), copy.step(), next);
  }

  /** The chunk is on its way. */
  void chunkAccepted() {
    next++;
  }

  boolean hasAllAccepted() {
    return next == chunks;
  }

  void progress(long nowNs) {
    lastProgressNs = nowNs;
  }

  long lastProgressNs() {
    return lastProgressNs;
  }

  @Override
  public String toString() {
    return phase + " of " + copy;
  }
}
