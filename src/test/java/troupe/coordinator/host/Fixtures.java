package troupe.coordinator.host;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import troupe.core.config.ConfigLoader;
import troupe.core.config.RunConfig;
import troupe.core.tensor.Tensor;

/** Configs, states and copies for tests of shards. */
final class Fixtures {

  /** Layer 0 dense, layer 1 with experts; three ranks, so slices differ in length. */
  private static final List<String> SMALL =
      List.of(
          "model.d_model=16",
          "model.heads=2",
          "model.layers=2",
          "model.moe_every=2",
          "model.d_ff=24",
          "model.seq=8",
          "model.vocab=32",
          "experts.count=3",
          "train.batch=6",
          "train.ranks=3",
          "seed=7");

  private Fixtures() {}

  static RunConfig small(String... overrides) {
    List<String> all = new ArrayList<>(SMALL);
    all.addAll(List.of(overrides));
    return ConfigLoader.parse("", all);
  }

  /** Shards of several chunks, none of which is a whole number of them. */
  static RunConfig chunked() {
    return small("model.d_model=128", "model.d_ff=1024", "model.vocab=4096");
  }

  /** Gives all parameters and moments random values, and says they are those after a step. */
  static void scramble(Model model, long seed, long step) {
    Random random = new Random(seed);
    model
        .ranks()
        .forEach(
            rank -> {
              // The trunk is the same on all ranks.
              set(new Random(seed), rank.parameters().flat());
              set(random, rank.owned().firstMoment());
              set(random, rank.owned().secondMoment());
              rank.loaded(step);
            });
    model
        .experts()
        .forEach(
            expert -> {
              set(random, expert.parameters().flat());
              set(random, expert.owned().firstMoment());
              set(random, expert.owned().secondMoment());
              expert.owned().loaded(step);
            });
  }

  private static void set(Random random, Tensor tensor) {
    tensor.set(random.doubles(tensor.size(), -1, 1).toArray());
  }

  /** A copy full of random bytes that only shard, step and seed decide. */
  static ShardCopy random(ShardMemory memory, ShardId shard, long step, long seed) {
    ShardCopy copy = memory.allocate(shard, step);
    fill(copy.bytes(), seed ^ 31 * step ^ shard.toString().hashCode());
    return copy;
  }

  private static void fill(MemorySegment bytes, long seed) {
    byte[] random = new byte[Math.toIntExact(bytes.byteSize())];
    new Random(seed).nextBytes(random);
    bytes.copyFrom(MemorySegment.ofArray(random));
  }

  static byte[] bytes(ShardCopy copy) {
    return copy.bytes().toArray(ValueLayout.JAVA_BYTE);
  }
}
