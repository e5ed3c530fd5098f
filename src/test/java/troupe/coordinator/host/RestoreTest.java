package troupe.coordinator.host;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import troupe.coordinator.placement.ExpertId;
import troupe.coordinator.placement.Place;
import troupe.coordinator.placement.Placement;
import troupe.core.UserException;
import troupe.core.config.RunConfig;
import troupe.core.tensor.DType;
import troupe.core.tensor.Device;
import troupe.core.tensor.DeviceGroup;
import troupe.core.tensor.Kernels;
import troupe.core.tensor.Tensor;
import troupe.core.tensor.reference.ReferenceDevice;
import troupe.expert.network.ExpertState;
import troupe.router.trunk.RankState;

/** What the plan of an epoch makes of owners that are on a node already. */
final class RestoreTest {
  private static final int NODE = 7;
  private static final long STEP = 5;

  private final RunConfig config = Fixtures.small();
  private final NarrowDevice first = new NarrowDevice();
  private final NarrowDevice second = new NarrowDevice();
  private final Model model = new Model(new DeviceGroup(List.of(first, second)), config);
  private final ShardMemory memory = new ShardMemory(new ShardCatalog(config, DType.F64));
  private final ShardStore store = new ShardStore();
  private final Restore restore = new Restore(model, memory, store, null);
  private List<String> before;

  @BeforeEach
  void scramble() {
    Fixtures.scramble(model, 11, STEP);
    before = bytes();
  }

  @AfterEach
  void close() {
    model.close();
    assertEquals(0, first.allocatedBytes() + second.allocatedBytes());
    assertEquals(0, memory.heldBytes());
    store.close();
    memory.close();
  }

  private List<String> bytes() {
    List<ShardCopy> copies = new ArrayList<>();
    for (RankState rank : model.ranks()) {
      copies.add(ShardStates.copy(rank, ShardId.trunk(), memory));
      copies.add(ShardStates.copy(rank, ShardId.moments(rank.rank()), memory));
    }
    model.experts().forEach(expert -> copies.add(ShardStates.copy(expert, memory)));
    List<String> bytes =
        copies.stream()
            .map(
                copy ->
                    copy.shard()
                        + " of step "
                        + copy.step()
                        + Arrays.toString(Fixtures.bytes(copy)))
            .toList();
    copies.forEach(ShardCopy::release);
    return bytes;
  }

  /** Everyone goes to the other device. */
  private EpochPlan swapped() {
    SortedMap<ExpertId, Place> experts = new TreeMap<>();
    for (ExpertState expert : model.experts()) {
      experts.put(new ExpertId(expert.layer(), expert.expert()), otherThan(expert.device()));
    }
    List<Place> ranks = model.ranks().stream().map(rank -> otherThan(rank.device())).toList();
    return new EpochPlan(2, STEP, List.of(), new Placement(experts, ranks), new TreeMap<>());
  }

  private Place otherThan(Device device) {
    return new Place(NODE, device == first ? 1 : 0);
  }

  @Test
  void shouldMoveOwnersToTheDevicesOfThePlan() {
    EpochPlan plan = swapped();
    restore.begin(plan, NODE);
    assertEquals(0, restore.missing().size());
    restore.finish();
    assertEquals(before, bytes());
    for (RankState rank : model.ranks()) {
      assertSame(model.device(plan.placement().ranks().get(rank.rank())), rank.device());
    }
    for (ExpertState expert : model.experts()) {
      ExpertId id = new ExpertId(expert.layer(), expert.expert());
      assertSame(model.device(plan.placement().experts().get(id)), expert.device());
    }
    assertEquals(new TreeMap<>(), store.held());
  }

  @Test
  void shouldLoseNothingWhenADeviceIsFull() {
    EpochPlan plan = swapped();
    Device home = model.ranks().getFirst().device();
    restore.begin(plan, NODE);
    first.isFull = true;
    second.isFull = true;
    assertThrows(UserException.class, restore::finish);
    assertEquals(before, bytes());
    assertSame(home, model.ranks().getFirst().device());
    first.isFull = false;
    second.isFull = false;
    restore.finish();
    assertEquals(before, bytes());
    assertNotSame(home, model.ranks().getFirst().device());
  }

  /** A device that may have no memory left. */
  private static final class NarrowDevice implements Device {
    private final ReferenceDevice memory = new ReferenceDevice();
    private boolean isFull;

    @Override
    public String name() {
      return "narrow";
    }

    @Override
    public DType dtype() {
      return memory.dtype();
    }

    @Override
    public Kernels kernels() {
      return memory.kernels();
    }

    @Override
    public Tensor allocate(int rows, int columns) {
      if (isFull) {
        throw new UserException("narrow: out of memory", "less");
      }
      return memory.allocate(rows, columns);
    }

    @Override
    public long allocatedBytes() {
      return memory.allocatedBytes();
    }

    @Override
    public void close() {
      memory.close();
    }
  }
}
