package troupe.coordinator.run;

import troupe.core.config.RunConfig;
import troupe.core.data.Batch;
import troupe.core.data.Batches;
import troupe.core.data.Corpus;
import troupe.router.BatchSource;

/** Batches of a run's text. */
public final class CorpusBatches implements BatchSource {
  private final long seed;
  private final Batches training;
  private final Batches validation;
  private final Batches.Split split;

  public CorpusBatches(RunConfig config, Corpus corpus) {
    RunConfig.Train train = config.train();
    this.seed = config.seed();
    this.training = new Batches(corpus.training(), config.model().seq());
    this.validation = new Batches(corpus.validation(), config.model().seq());
    this.split =
        new Batches.Split(
            train.ranks(),
            train.microBatches(),
            train.batch() / train.ranks() / train.microBatches());
  }

  @Override
  public Batch training(long step, int rank, int microBatch) {
    return training.training(seed, Math.toIntExact(step), rank, microBatch, split);
  }

  @Override
  public Batch validation(int index, int count) {
    return validation.spread(
        index, count, split.ranks() * split.microBatches() * split.sequences());
  }
}
