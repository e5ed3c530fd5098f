package troupe.coordinator.host;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import troupe.coordinator.placement.ExpertId;
import troupe.coordinator.placement.Place;
import troupe.coordinator.placement.Placement;
import troupe.core.UserException;
import troupe.core.checkpoint.Checkpoints;
import troupe.core.tensor.Device;
import troupe.expert.network.ExpertState;
import troupe.router.trunk.RankState;

/**
 * Makes the state of a node what the plan of an epoch says: from the live state, from copies, from
 * the disk, from what other nodes send, or from the seed. Works while no actor does.
 */
final class Restore {
  private final Model model;
  private final ShardMemory memory;
  private final ShardStore store;
  private final Path checkpoints;
  private final SortedSet<ShardId> missing = new TreeSet<>();
  private final SortedMap<ExpertId, Device> expertsHere = new TreeMap<>();
  private final SortedMap<Integer, Device> ranksHere = new TreeMap<>();
  private DiskShards disk;
  private EpochPlan plan;
  private int node;

  /** Works on {@code model}; copies are kept in {@code store}. */
  Restore(Model model, ShardMemory memory, ShardStore store, Path checkpoints) {
    this.model = model;
    this.memory = memory;
    this.store = store;
    this.checkpoints = checkpoints;
  }

  /**
   * What is here.
   *
   * @param withDisk whether to look for the newest whole checkpoint
   * @throws UserException if there are checkpoints, and none is whole
   */
  Inventory inventory(boolean withDisk, Placement placement) {
    if (withDisk && checkpoints != null) {
      disk =
          Checkpoints.newestWhole(checkpoints)
              .map(newest -> new DiskShards(newest.checkpoint(), memory.catalog()))
              .orElse(null);
    }
    SortedMap<ShardId, SortedSet<Long>> held = store.held();
    for (ExpertState expert : model.experts()) {
      add(held, ShardStates.shard(expert), ShardStates.liveStep(expert));
    }
    for (RankState rank : model.ranks()) {
      ShardId moments = ShardId.moments(rank.rank());
      add(held, moments, ShardStates.liveStep(rank, moments));
      add(held, ShardId.trunk(), ShardStates.liveStep(rank, ShardId.trunk()));
    }
    return new Inventory(held, disk == null ? -1 : disk.step(), placement);
  }

  private static void add(
      SortedMap<ShardId, SortedSet<Long>> held, ShardId shard, OptionalLong step) {
    step.ifPresent(at -> held.computeIfAbsent(shard, key -> new TreeSet<>()).add(at));
  }

  /** Sees what the plan asks of this node; {@link #missing} has to come from others. */
  void begin(EpochPlan newPlan, int thisNode) {
    plan = newPlan;
    node = thisNode;
    store.dropNewerThan(plan.step());
    missing.clear();
    findOwnersHere();
    for (ExpertId expert : expertsHere.keySet()) {
      if (!isLive(expert)) {
        need(ShardId.expert(expert));
      }
    }
    for (int rank : ranksHere.keySet()) {
      if (!isLive(rank)) {
        need(ShardId.moments(rank));
        need(ShardId.trunk());
      }
    }
    // Others will ask for these; what is live changes as soon as all are ready.
    plan.sources()
        .forEach(
            (shard, source) -> {
              if (source == node) {
                keepCopy(shard);
              }
            });
  }

  private void findOwnersHere() {
    expertsHere.clear();
    plan.placement()
        .experts()
        .forEach(
            (expert, home) -> {
              if (home.node() == node) {
                expertsHere.put(expert, model.device(home));
              }
            });
    ranksHere.clear();
    List<Place> ranks = plan.placement().ranks();
    for (int rank = 0; rank < ranks.size(); rank++) {
      if (ranks.get(rank).node() == node) {
        ranksHere.put(rank, model.device(ranks.get(rank)));
      }
    }
  }

  private boolean isLive(ExpertId id) {
    ExpertState expert = model.expert(id);
    return expert != null && isAtPlan(ShardStates.liveStep(expert));
  }

  private boolean isLive(int rank) {
    RankState state = model.rank(rank);
    return state != null
        && isAtPlan(ShardStates.liveStep(state, ShardId.trunk()))
        && isAtPlan(ShardStates.liveStep(state, ShardId.moments(rank)));
  }

  private boolean isAtPlan(OptionalLong step) {
    return step.isPresent() && step.getAsLong() == plan.step();
  }

  private void need(ShardId shard) {
    if (!keepCopy(shard) && plan.sources().containsKey(shard)) {
      missing.add(shard);
    }
  }

  /** Sees to it that the store has a shard at the step of the plan, if it is here at all. */
  private boolean keepCopy(ShardId shard) {
    ShardCopy copy = copyOf(shard, plan.step());
    if (copy == null) {
      return false;
    }
    store.put(copy);
    return true;
  }

  /**
   * A shard as it was after {@code step}, or {@code null} if it is not here. The caller owns the
   * reference.
   */
  ShardCopy copyOf(ShardId shard, long step) {
    Optional<ShardCopy> stored = store.get(shard, step);
    if (stored.isPresent()) {
      return stored.get();
    }
    ShardCopy live = copyOfLive(shard, step);
    if (live != null || disk == null || disk.step() != step) {
      return live;
    }
    try {
      return disk.read(shard, memory);
    } catch (IOException e) {
      throw new UserException(
          checkpoints + " is not of this run: " + e.getMessage(),
          "see that config.conf of the run is the one it was trained with",
          e);
    }
  }

  private ShardCopy copyOfLive(ShardId shard, long step) {
    switch (shard.kind()) {
      case EXPERT -> {
        ExpertState expert = model.expert(new ExpertId(shard.layer(), shard.index()));
        boolean isHere =
            expert != null && ShardStates.liveStep(expert).equals(OptionalLong.of(step));
        return isHere ? ShardStates.copy(expert, memory) : null;
      }
      case MOMENTS -> {
        return copyOfRank(model.rank(shard.index()), shard, step);
      }
      case TRUNK -> {
        for (RankState rank : model.ranks()) {
          ShardCopy copy = copyOfRank(rank, shard, step);
          if (copy != null) {
            return copy;
          }
        }
        return null;
      }
    }
    throw new IllegalStateException("shard: " + shard);
  }

  private ShardCopy copyOfRank(RankState rank, ShardId shard, long step) {
    boolean isHere =
        rank != null && ShardStates.liveStep(rank, shard).equals(OptionalLong.of(step));
    return isHere ? ShardStates.copy(rank, shard, memory) : null;
  }

  /** What other nodes still have to send. */
  SortedSet<ShardId> missing() {
    missing.removeIf(shard -> store.steps(shard).contains(plan.step()));
    return missing;
  }

  /** Everything is here: makes the model what the plan says. */
  void finish() {
    for (ExpertState expert : model.experts()) {
      ExpertId id = new ExpertId(expert.layer(), expert.expert());
      if (!expertsHere.containsKey(id)) {
        model.dropExpert(id);
      }
    }
    for (RankState rank : model.ranks()) {
      if (!ranksHere.containsKey(rank.rank())) {
        model.dropRank(rank.rank());
      }
    }
    expertsHere.forEach(this::settle);
    ranksHere.forEach(this::settle);
  }

  private void settle(ExpertId id, Device device) {
    if (!isLive(id)) {
      load(id, device);
    } else if (model.expert(id).device() != device) {
      ShardCopy copy = ShardStates.copy(model.expert(id), memory);
      try {
        model.moveExpert(id, device, moved -> ShardStates.copyIn(moved, copy.bytes(), plan.step()));
      } finally {
        copy.release();
      }
    }
  }

  private void settle(int rank, Device device) {
    if (!isLive(rank)) {
      load(rank, device);
    } else if (model.rank(rank).device() != device) {
      ShardCopy trunk = ShardStates.copy(model.rank(rank), ShardId.trunk(), memory);
      ShardCopy moments = ShardStates.copy(model.rank(rank), ShardId.moments(rank), memory);
      try {
        model.moveRank(
            rank,
            device,
            moved -> ShardStates.copyIn(moved, trunk.bytes(), moments.bytes(), plan.step()));
      } finally {
        trunk.release();
        moments.release();
      }
    }
  }

  private void load(ExpertId id, Device device) {
    Optional<ShardCopy> copy = store.get(ShardId.expert(id), plan.step());
    if (copy.isEmpty()) {
      requireStart(ShardId.expert(id));
      model.freshExpert(id, device);
      return;
    }
    ExpertState there = model.expert(id);
    ExpertState expert =
        there == null || there.device() != device ? model.freshExpert(id, device) : there;
    ShardStates.copyIn(expert, copy.get().bytes(), plan.step());
    copy.get().release();
  }

  private void load(int rank, Device device) {
    Optional<ShardCopy> trunk = store.get(ShardId.trunk(), plan.step());
    Optional<ShardCopy> moments = store.get(ShardId.moments(rank), plan.step());
    if (trunk.isEmpty() || moments.isEmpty()) {
      requireStart(ShardId.moments(rank));
      model.freshRank(rank, device);
    } else {
      RankState there = model.rank(rank);
      RankState state =
          there == null || there.device() != device ? model.freshRank(rank, device) : there;
      ShardStates.copyIn(state, trunk.get().bytes(), moments.get().bytes(), plan.step());
    }
    trunk.ifPresent(ShardCopy::release);
    moments.ifPresent(ShardCopy::release);
  }

  private void requireStart(ShardId shard) {
    if (plan.step() != 0) {
      throw new IllegalStateException(
          shard + ": nowhere at step " + plan.step() + " (expected: at the step of the plan)");
    }
  }
}
