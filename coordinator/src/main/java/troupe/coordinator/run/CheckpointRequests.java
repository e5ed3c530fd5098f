package troupe.coordinator.run;

import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import troupe.coordinator.Coordinator;
import troupe.core.checkpoint.CheckpointRequest;
import troupe.core.checkpoint.CheckpointWriter;
import troupe.core.config.ResolvedConfig;
import troupe.core.config.RunConfig;
import troupe.expert.ExpertActor;
import troupe.router.RouterActor;

/**
 * Has owners copy their state between two steps; the writer puts the copies on disk while training goes on. A snapshot is asked
 * for before the next step begins and an owner takes its messages in order, so all copies are of the same step.
 */
final class CheckpointRequests implements Coordinator.Checkpoints {
  private final CheckpointWriter writer;
  private final RunConfig config;
  private final String configHash;
  private final long runId;

  /** Owners that have yet to copy for the newest checkpoint; those before are copied by then. */
  private volatile CountDownLatch missing = new CountDownLatch(0);

  CheckpointRequests(CheckpointWriter writer, RunConfig config, long runId) {
    this.writer = writer;
    this.config = config;
    this.configHash = ResolvedConfig.hash(config);
    this.runId = runId;
  }

  @Override
  public boolean begin(int epoch, long step, Coordinator.Owners owners) {
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
      CountDownLatch taken =
          new CountDownLatch(owners.experts().size() + owners.routers().size());
      missing = taken;
      owners.experts().forEach(expert -> expert.tell(ofExpert(epoch, step, taken)));
      owners.routers().forEach(router -> router.tell(ofRouter(epoch, step, taken)));
    }
    return begun;
  }

  private ExpertActor.TakeSnapshot ofExpert(int epoch, long step, CountDownLatch taken) {
    return new ExpertActor.TakeSnapshot(
        state -> {
          try {
            writer.offer(epoch, step, Shards.snapshot(state));
          } finally {
            taken.countDown();
          }
        });
  }

  private RouterActor.TakeSnapshot ofRouter(int epoch, long step, CountDownLatch taken) {
    return new RouterActor.TakeSnapshot(
        state -> {
          try {
            Shards.snapshots(state).forEach(shard -> writer.offer(epoch, step, shard));
          } finally {
            taken.countDown();
          }
        });
  }

  /**
   * Waits until every owner has copied what the newest checkpoint needs. An actor that is stopped leaves its messages unread,
   * so without this the last checkpoint of a run would lack shards.
   *
   * @return whether all have
   */
  boolean awaitSnapshots(Duration timeout) throws InterruptedException {
    return missing.await(timeout.toMillis(), TimeUnit.MILLISECONDS);
  }
}
