package troupe.coordinator.host;

import java.lang.foreign.MemorySegment;
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
    return copy(
        shard(expert), liveStep(expert), memory, copy -> copyOut(expert, copy.bytes()));
  }

  /**
   * A copy of a shard of a rank at its {@link #liveStep}. The caller owns the one reference.
   *
   * @param shard the trunk, or the moments of this rank
   * @throws IllegalStateException if it has none
   */
  public static ShardCopy copy(RankState rank, ShardId shard, ShardMemory memory) {
    return copy(
        shard, liveStep(rank, shard), memory, copy -> copyOut(rank, shard, copy.bytes()));
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
    new Cursor(bytes)
        .take(expert.parameters().flat())
        .take(expert.owned().firstMoment())
        .take(expert.owned().secondMoment())
        .end();
  }

  /**
   * Copies a shard of a rank into {@code bytes}, which has the size that the catalog says.
   *
   * @param shard the trunk, or the moments of this rank
   */
  public static void copyOut(RankState rank, ShardId shard, MemorySegment bytes) {
    if (shard.equals(ShardId.trunk())) {
      new Cursor(bytes).take(rank.parameters().flat()).end();
    } else {
      OwnedParameters owned = moments(rank, shard);
      new Cursor(bytes).take(owned.firstMoment()).take(owned.secondMoment()).end();
    }
  }

  /** Makes an expert what it was after {@code step}; a gradient that it has is forgotten. */
  public static void copyIn(ExpertState expert, MemorySegment bytes, long step) {
    new Cursor(bytes)
        .give(expert.parameters().flat())
        .give(expert.owned().firstMoment())
        .give(expert.owned().secondMoment())
        .end();
    expert.owned().loaded(step);
    expert.forgetGradient();
  }

  /**
   * Makes a rank what it was after {@code step}; a gradient that it has is forgotten.
   *
   * @param trunk the bytes of {@link ShardId#trunk}
   * @param moments the bytes of {@link ShardId#moments} of this rank
   */
  public static void copyIn(
      RankState rank, MemorySegment trunk, MemorySegment moments, long step) {
    new Cursor(trunk).give(rank.parameters().flat()).end();
    new Cursor(moments).give(rank.owned().firstMoment()).give(rank.owned().secondMoment()).end();
    rank.loaded(step);
    rank.gradientStep(-1);
  }

  private static OwnedParameters moments(RankState rank, ShardId shard) {
    if (!shard.equals(ShardId.moments(rank.rank()))) {
      throw new IllegalArgumentException(
          "shard: " + shard + " (expected: trunk or moments of rank " + rank.rank() + ")");
    }
    return rank.owned();
  }

  /** Walks along the bytes of a shard, part by part. */
  private static final class Cursor {
    private final MemorySegment bytes;
    private long position;

    Cursor(MemorySegment bytes) {
      this.bytes = bytes;
    }

    /** Copies a part from {@code tensor}. */
    Cursor take(Tensor tensor) {
      next(tensor).copyFrom(tensor.bytes());
      return this;
    }

    /** Copies a part into {@code tensor}. */
    Cursor give(Tensor tensor) {
      tensor.bytes().copyFrom(next(tensor));
      return this;
    }

    void end() {
      if (position != bytes.byteSize()) {
        throw new IllegalArgumentException(
            "shard: " + bytes.byteSize() + " bytes (expected: " + position + ")");
      }
    }

    private MemorySegment next(Tensor tensor) {
      long length = tensor.bytes().byteSize();
      MemorySegment part = bytes.asSlice(position, length);
      position += length;
      return part;
    }
  }
}
