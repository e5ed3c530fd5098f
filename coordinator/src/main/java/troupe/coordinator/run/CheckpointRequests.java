package troupe.coordinator.run;

import troupe.coordinator.Coordinator;
import troupe.coordinator.host.ShardCopy;
import troupe.coordinator.host.ShardFiles;
import troupe.coordinator.host.ShardId;
import troupe.coordinator.host.ShardMemory;
import troupe.coordinator.host.ShardStates;
import troupe.core.checkpoint.CheckpointRequest;
import troupe.core.checkpoint.CheckpointWriter;
import troupe.core.config.ResolvedConfig;
import troupe.core.config.RunConfig;
import troupe.expert.ExpertActor;
import troupe.router.RouterActor;
import troupe.router.trunk.RankState;

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
  private final ShardMemory memory;
  private final ShardFiles files;

  CheckpointRequests(CheckpointWriter writer, RunConfig config, long runId, ShardMemory memory) {
    this.writer = writer;
    this.memory = memory;
    this.files = new ShardFiles(memory.catalog());
    this.config = config;
    this.configHash = ResolvedConfig.hash(config);
    this.runId = runId;
  }

  @Override
  public Begun begin(int epoch, long step, Coordinator.Owners owners) {
    boolean begun =
        writer.begin(
            new CheckpointRequest(
                epoch, step, configHash, Long.toHexString(runId), config.seed(), files.names()));
    if (begun) {
      owners
          .experts()
          .forEach(
              expert ->
                  expert.tell(
                      new ExpertActor.TakeSnapshot(
                          state -> write(epoch, ShardStates.copy(state, memory)))));
      owners
          .routers()
          .forEach(
              router ->
                  router.tell(new RouterActor.TakeSnapshot(state -> writeRank(epoch, state))));
    }
    return begun ? Begun.STARTED : Begun.BUSY;
  }

  /** Every rank has its moments; the trunk is the same everywhere, so rank 0 writes it. */
  private void writeRank(int epoch, RankState state) {
    write(epoch, ShardStates.copy(state, ShardId.moments(state.rank()), memory));
    if (state.rank() == 0) {
      write(epoch, ShardStates.copy(state, ShardId.trunk(), memory));
    }
  }

  private void write(int epoch, ShardCopy copy) {
    writer.offer(epoch, copy.step(), files.snapshot(copy));
  }
}
