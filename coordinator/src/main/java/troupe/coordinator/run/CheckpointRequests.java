package troupe.coordinator.run;

import troupe.coordinator.CheckpointCollector;
import troupe.coordinator.Coordinator;
import troupe.coordinator.host.CheckpointSink;
import troupe.coordinator.host.ShardCatalog;
import troupe.coordinator.host.ShardCopy;
import troupe.coordinator.host.ShardFiles;
import troupe.core.checkpoint.CheckpointOutcome;
import troupe.core.checkpoint.CheckpointRequest;
import troupe.core.checkpoint.CheckpointWriter;
import troupe.core.config.ResolvedConfig;
import troupe.core.config.RunConfig;

/**
 * Announces checkpoints to the writer and hands it the shards that hosts have copied between two
 * steps; the writer puts them on disk while training goes on.
 */
final class CheckpointRequests implements CheckpointCollector, CheckpointSink {
  private final CheckpointWriter writer;
  private final RunConfig config;
  private final String configHash;
  private final long runId;
  private final ShardFiles files;

  CheckpointRequests(CheckpointWriter writer, RunConfig config, long runId, ShardCatalog catalog) {
    this.writer = writer;
    this.files = new ShardFiles(catalog);
    this.config = config;
    this.configHash = ResolvedConfig.hash(config);
    this.runId = runId;
  }

  /** What the coordinator is told of the end of a checkpoint. */
  static Coordinator.CheckpointEnded ended(CheckpointOutcome outcome) {
    return switch (outcome) {
      case CheckpointOutcome.CheckpointWritten written ->
          new Coordinator.CheckpointEnded(written.epoch(), written.step(), null, null);
      case CheckpointOutcome.CheckpointFailed failed ->
          new Coordinator.CheckpointEnded(
              failed.epoch(), failed.step(), failed.reason(), failed.hint());
    };
  }

  @Override
  public Begun begin(int epoch, long step) {
    boolean begun =
        writer.begin(
            new CheckpointRequest(
                epoch, step, configHash, Long.toHexString(runId), config.seed(), files.names()));
    return begun ? Begun.STARTED : Begun.BUSY;
  }

  @Override
  public void abort(int epoch, long step, String reason) {
    writer.abort(epoch, step, reason);
  }

  @Override
  public long progress() {
    return writer.progress();
  }

  @Override
  public void offer(int epoch, ShardCopy copy) {
    writer.offer(epoch, copy.step(), files.snapshot(copy));
  }
}
