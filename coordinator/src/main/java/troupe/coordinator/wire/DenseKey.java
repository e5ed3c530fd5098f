package troupe.coordinator.wire;

import java.util.function.Function;
import java.util.function.ToIntFunction;
import troupe.coordinator.host.ShardId;
import troupe.coordinator.placement.ExpertId;

/**
 * A key that is a number within a family, such as an expert of a layer. Families follow one another
 * in the order of keys.
 *
 * @param kind what the family is of
 * @param layer of the family
 * @param index of the key in its family
 * @param key from these three
 */
record DenseKey<K>(
    ToIntFunction<K> kind, ToIntFunction<K> layer, ToIntFunction<K> index, Function<int[], K> key) {
  private static final ShardId.Kind[] KINDS = ShardId.Kind.values();

  static final DenseKey<ExpertId> EXPERT =
      new DenseKey<>(e -> 0, ExpertId::layer, ExpertId::expert, k -> new ExpertId(k[1], k[2]));

  static final DenseKey<ShardId> SHARD =
      new DenseKey<>(
          s -> s.kind().ordinal(),
          ShardId::layer,
          ShardId::index,
          k -> new ShardId(kindOf(k[0]), k[1], k[2]));

  private static ShardId.Kind kindOf(int ordinal) {
    if (ordinal < 0 || ordinal >= KINDS.length) {
      throw RefusedException.malformed("kind of shard " + ordinal, "0 to " + (KINDS.length - 1));
    }
    return KINDS[ordinal];
  }
}
