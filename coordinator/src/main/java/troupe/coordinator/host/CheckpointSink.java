package troupe.coordinator.host;

/** Takes shards for the disk; whoever has no checkpoint under way releases them. */
@FunctionalInterface
public interface CheckpointSink {
  /** The reference to {@code copy} is the sink's. */
  void offer(int epoch, ShardCopy copy);
}
