package troupe.coordinator;

/** Collects checkpoints; hosts offer their shards to it. */
public interface CheckpointCollector {
  /** For runs that keep nothing, such as benchmarks. */
  CheckpointCollector NONE =
      new CheckpointCollector() {
        @Override
        public Begun begin(int epoch, long step) {
          return Begun.UNWANTED;
        }

        @Override
        public void abort(int epoch, long step, String reason) {}

        @Override
        public long progress() {
          return 0;
        }
      };

  /** What became of a request. */
  enum Begun {
    /** {@link Coordinator.CheckpointEnded} will say how it ends. */
    STARTED,
    /** Earlier ones are still being written; ask again. */
    BUSY,
    /** Nothing is to be kept. */
    UNWANTED
  }

  /** Begins the checkpoint of the committed {@code step}. */
  Begun begin(int epoch, long step);

  /** Not all shards of a checkpoint will come. */
  void abort(int epoch, long step, String reason);

  /** Grows with each shard that comes, and with each that is on the disk. */
  long progress();
}
