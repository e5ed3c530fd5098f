package troupe.core.checkpoint;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;
import troupe.core.tensor.DType;

/** Arrays and checkpoints for the tests of this package. */
final class CheckpointFixtures {
  static final Set<String> SHARDS = Set.of("trunk", "expert-l00-e000", "expert-l00-e001");
  private static final Duration PATIENCE = Duration.ofSeconds(20);

  private CheckpointFixtures() {}

  static RandomGenerator random(long seed) {
    return RandomGeneratorFactory.of("L64X128MixRandom").create(seed);
  }

  static NamedArray f32(String name, long[] shape, float... values) {
    return new NamedArray(name, DType.F32, shape, MemorySegment.ofArray(values));
  }

  static NamedArray f64(String name, long[] shape, double... values) {
    return new NamedArray(name, DType.F64, shape, MemorySegment.ofArray(values));
  }

  /** Random arrays of a shard, different for every step and shard. */
  static List<NamedArray> arrays(long step, String shard) {
    RandomGenerator random = random(step * 31 + shard.hashCode());
    float[] weights = new float[6 * 5];
    double[] moments = new double[7];
    for (int i = 0; i < weights.length; i++) {
      weights[i] = random.nextFloat();
    }
    for (int i = 0; i < moments.length; i++) {
      moments[i] = random.nextDouble();
    }
    return List.of(
        f32(shard + ".weight", new long[] {6, 5}, weights),
        f64(shard + ".moment", new long[] {7}, moments));
  }

  static byte[] bytes(NamedArray array) {
    return array.data().toArray(ValueLayout.JAVA_BYTE);
  }

  static CheckpointRequest request(long step) {
    return new CheckpointRequest(1, step, "config-hash", "run-id", 42, SHARDS);
  }

  /** Writes a whole checkpoint and says what became of it. */
  static CheckpointOutcome write(Path checkpoints, int keep, long step) {
    Outcomes outcomes = new Outcomes();
    try (CheckpointWriter writer = CheckpointWriter.start(checkpoints, keep, outcomes)) {
      writeThrough(writer, step);
      return outcomes.next();
    }
  }

  static void writeThrough(CheckpointWriter writer, long step) {
    if (!writer.begin(request(step))) {
      throw new AssertionError("step " + step + " refused");
    }
    for (String shard : SHARDS) {
      writer.offer(1, step, new ShardSnapshot(shard, arrays(step, shard), () -> {}));
    }
  }

  /** Collects outcomes and hands them to the test one at a time. */
  static final class Outcomes implements Consumer<CheckpointOutcome> {
    private final BlockingQueue<CheckpointOutcome> queue = new LinkedBlockingQueue<>();

    @Override
    public void accept(CheckpointOutcome outcome) {
      queue.add(outcome);
    }

    CheckpointOutcome next() {
      try {
        CheckpointOutcome outcome = queue.poll(PATIENCE.toSeconds(), TimeUnit.SECONDS);
        if (outcome == null) {
          throw new AssertionError("no outcome within " + PATIENCE);
        }
        return outcome;
      } catch (InterruptedException e) {
        throw new AssertionError("interrupted", e);
      }
    }

    List<CheckpointOutcome> rest() {
      List<CheckpointOutcome> rest = new ArrayList<>();
      queue.drainTo(rest);
      return rest;
    }
  }
}
