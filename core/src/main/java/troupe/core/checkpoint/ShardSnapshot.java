package troupe.core.checkpoint;

import java.util.List;

/**
 * The parameters of one owner at one step, handed over to be written. The arrays belong to the
 * writer until it calls {@code release}, which it does exactly once, on any thread, whether the
 * checkpoint succeeds or not.
 *
 * @param shard the name of the shard, such as {@code expert-l00-e003}
 * @param arrays the parameters; memory that any thread can read
 * @param release gives the memory back to its owner
 */
public record ShardSnapshot(String shard, List<NamedArray> arrays, Runnable release) {
  /** Copies the list. */
  public ShardSnapshot {
    arrays = List.copyOf(arrays);
  }
}
