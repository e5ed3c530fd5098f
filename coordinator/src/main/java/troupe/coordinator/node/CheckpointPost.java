package troupe.coordinator.node;

import java.util.concurrent.atomic.AtomicReference;
import troupe.coordinator.host.CheckpointSink;
import troupe.coordinator.host.ShardCopy;

/** Passes shards for the disk from the host to the desk, while there is one in this process. */
final class CheckpointPost implements CheckpointSink {
  private final AtomicReference<CheckpointSink> desk = new AtomicReference<>();

  /** Shards go to this desk from now on. */
  void open(CheckpointSink newDesk) {
    desk.set(newDesk);
  }

  @Override
  public void offer(int epoch, ShardCopy copy) {
    CheckpointSink open = desk.get();
    if (open == null) {
      copy.release();
    } else {
      open.offer(epoch, copy);
    }
  }
}
