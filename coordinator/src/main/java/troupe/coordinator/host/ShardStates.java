package troupe.coordinator.host;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import java.util.function.Consumer;
import troupe.coordinator.placement.ExpertId;
import troupe.core.optim.OwnedParameters;
import troupe.core.tensor.Tensor;
import troupe.expert.network.ExpertState;
import troupe.router.trunk.RankState;

/**
 * Copies shards out of the live state of owners and back. Only for the thread that works on the
 * state: its actor's, or anyone's once that actor has stopped.
 */
public final class ShardStates {
  private ShardStates() {}

  /**
   * The step at which an expert can be copied; empty if its update was interrupted halfway: such a
   * state can only be finished, never shown.
   */
  public static OptionalLong liveStep(ExpertState expert) {
    return liveStep(expert.owned());
  }

  /**
   * The step at which a shard of a rank can be copied; empty if parts of it are of different steps.
   *
   * @param shard the trunk, or the moments of this rank
   */
  public static OptionalLong liveStep(RankState rank, ShardId shard) {
    return shard.equals(ShardId.trunk()) ? rank.wholeStep() : liveStep(moments(rank, shard));
  }

  private static OptionalLong liveStep(OwnedParameters owned) {
    return owned.isWhole() ? OptionalLong.of(owned.committedStep()) : OptionalLong.empty();
  }

  /** The shard that an expert is. */
  public static ShardId shard(ExpertState expert) {
    return ShardId.expert(new ExpertId(expert.layer(), expert.expert()));
  }

  /**
   * A copy of an expert at its {@link #liveStep}. The caller owns the one reference.
   *
   * @throws IllegalStateException if it has none
   */
  public static ShardCopy copy(ExpertState expert, ShardMemory memory) {
    return copy(shard(expert), liveStep(expert), memory, copy -> copyOut(expert, copy.bytes()));
  }

  /**
   * A copy of a shard of a rank at its {@link #liveStep}. The caller owns the one reference.
   *
   * @param shard the trunk, or the moments of this rank
   * @throws IllegalStateException if it has none
   */
  public static ShardCopy copy(RankState rank, ShardId shard, ShardMemory memory) {
    return copy(shard, liveStep(rank, shard), memory, copy -> copyOut(rank, shard, copy.bytes()));
  }

  private static ShardCopy copy(
      ShardId shard, OptionalLong liveStep, ShardMemory memory, Consumer<ShardCopy> fill) {
    long step =
        liveStep.orElseThrow(
            () -> new IllegalStateException(shard + ": between two steps (expected: at one)"));
    ShardCopy copy = memory.allocate(shard, step);
    try {
      fill.accept(copy);
      return copy;
    } catch (RuntimeException e) {
      copy.release();
      throw e;
    }
  }

  /** Copies an expert into {@code bytes}, which has the size that the catalog says. */
  public static void copyOut(ExpertState expert, MemorySegment bytes) {
    copyOut(parts(bytes, tensors(expert)));
  }

  /**
   * Copies a shard of a rank into {@code bytes}, which has the size that the catalog says.
   *
   * @param shard the trunk, or the moments of this rank
   */
  public static void copyOut(RankState rank, ShardId shard, MemorySegment bytes) {
    copyOut(
        parts(bytes, shard.equals(ShardId.trunk()) ? trunk(rank) : tensors(moments(rank, shard))));
  }

  /**
   * Makes an expert what it was after {@code step}; a gradient that it has is forgotten.
   *
   * @throws IllegalArgumentException if the size is not that of this expert; it is unchanged then
   */
  public static void copyIn(ExpertState expert, MemorySegment bytes, long step) {
    copyIn(parts(bytes, tensors(expert)));
    expert.owned().loaded(step);
    expert.forgetGradient();
  }

  /**
   * Makes a rank what it was after {@code step}; a gradient that it has is forgotten.
   *
   * @param trunk the bytes of {@link ShardId#trunk}
   * @param moments the bytes of {@link ShardId#moments} of this rank
   * @throws IllegalArgumentException if a size is not that of this rank; it is unchanged then
   */
  public static void copyIn(RankState rank, MemorySegment trunk, MemorySegment moments, long step) {
    List<Part> trunkParts = parts(trunk, trunk(rank));
    List<Part> momentParts = parts(moments, tensors(rank.owned()));
    copyIn(trunkParts);
    copyIn(momentParts);
    rank.loaded(step);
    rank.gradientStep(-1);
  }

  private static List<Tensor> tensors(ExpertState expert) {
    return List.of(
        expert.parameters().flat(), expert.owned().firstMoment(), expert.owned().secondMoment());
  }

  private static List<Tensor> trunk(RankState rank) {
    return List.of(rank.parameters().flat());
  }

  private static List<Tensor> tensors(OwnedParameters moments) {
    return List.of(moments.firstMoment(), moments.secondMoment());
  }

  private static OwnedParameters moments(RankState rank, ShardId shard) {
    if (!shard.equals(ShardId.moments(rank.rank()))) {
      throw new IllegalArgumentException(
          "shard: " + shard + " (expected: trunk or moments of rank " + rank.rank() + ")");
    }
    return rank.owned();
  }

  /** A tensor and where its elements are in the bytes of a shard. */
  private record Part(Tensor tensor, MemorySegment place) {}

  private static List<Part> parts(MemorySegment bytes, List<Tensor> tensors) {
    long expected = tensors.stream().mapToLong(ShardStates::bytes).sum();
    if (bytes.byteSize() != expected) {
      throw new IllegalArgumentException(
          "shard: " + bytes.byteSize() + " bytes (expected: " + expected + ")");
    }
    List<Part> parts = new ArrayList<>();
    long position = 0;
    for (Tensor tensor : tensors) {
      parts.add(new Part(tensor, bytes.asSlice(position, bytes(tensor))));
      position += bytes(tensor);
    }
    return parts;
  }

  private static long bytes(Tensor tensor) {
    return tensor.size() * tensor.dtype().bytes();
  }

  private static void copyOut(List<Part> parts) {
    parts.forEach(part -> part.tensor.copyTo(part.place));
  }

  private static void copyIn(List<Part> parts) {
    parts.forEach(part -> part.tensor.copyFrom(part.place));
  }
}
