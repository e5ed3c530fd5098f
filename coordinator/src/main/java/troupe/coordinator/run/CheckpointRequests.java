package troupe.coordinator.run;

import troupe.coordinator.Coordinator;
import troupe.core.checkpoint.CheckpointRequest;
import troupe.core.checkpoint.CheckpointWriter;
import troupe.core.config.ResolvedConfig;
import troupe.core.config.RunConfig;
import troupe.expert.ExpertActor;
import troupe.router.RouterActor;

/**
 * Has owners copy their state between two steps; the writer puts the copies on disk while training
 * goes on. A snapshot is asked for before the next step begins and an owner takes its messages in
 * order, so all copies are of the same step.
 */
final class CheckpointRequests implements Coordinator.Checkpoints {
  private final CheckpointWriter writer;
  private final RunConfig config;
  private final String configHash;
  private final long runId;

  CheckpointRequests(CheckpointWriter writer, RunConfig config, long runId) {
    this.writer = writer;
    this.config = config;
    this.configHash = ResolvedConfig.hash(config);
    this.runId = runId;
  }

  @Override
  public Begun begin(int epoch, long step, Coordinator.Owners owners) {
    boolean begun =
        writer.begin(
            new CheckpointRequest(
                epoch,
                step,
                configHash,
                Long.toHexString(runId),
                config.seed(),
                Shards.names(config)));
    if (begun) {
      owners
          .experts()
          .forEach(
              expert ->
                  expert.tell(
                      new ExpertActor.TakeSnapshot(
                          state -> writer.offer(epoch, step, Shards.snapshot(state)))));
      owners
          .routers()
          .forEach(
              router ->
                  router.tell(
                      new RouterActor.TakeSnapshot(
                          state ->
                              Shards.snapshots(state)
                                  .forEach(shard -> writer.offer(epoch, step, shard)))));
    }
    return begun ? Begun.STARTED : Begun.BUSY;
  }
}
