package troupe.router;

import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import troupe.core.data.Batch;

/**
 * Makes the batches of the next step while a GPU is busy with this one. Belongs to one rank and one
 * thread; at most one step of batches is kept.
 */
final class PrefetchedBatches implements BatchSource {
  private record Place(int rank, int microBatch) {}

  private record Prefetched(long step, CompletableFuture<Batch> batch) {}

  private final BatchSource source;
  private final Map<Place, Prefetched> next = new HashMap<>();

  PrefetchedBatches(BatchSource source) {
    this.source = source;
  }

  @Override
  public Batch training(long step, int rank, int microBatch) {
    Place place = new Place(rank, microBatch);
    Prefetched prefetched = next.get(place);
    Batch batch =
        prefetched != null && prefetched.step() == step
            ? prefetched.batch().join()
            : source.training(step, rank, microBatch);
    next.put(
        place,
        new Prefetched(
            step + 1,
            CompletableFuture.supplyAsync(() -> source.training(step + 1, rank, microBatch))));
    return batch;
  }

  @Override
  public Batch validation(int index, int count) {
    return source.validation(index, count);
  }
}
