package troupe.coordinator.host;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import troupe.coordinator.run.Shards;
import troupe.core.config.RunConfig;
import troupe.core.tensor.AdamWStep;
import troupe.core.tensor.Device;
import troupe.core.tensor.Devices;
import troupe.core.tensor.Tensor;
import troupe.expert.network.ExpertState;
import troupe.router.trunk.RankState;

/** State becomes bytes and bytes become state, bit for bit, and only when the state is whole. */
final class ShardStatesTest {
  private static final long STEP = 5;

  @ParameterizedTest
  @CsvSource({"cpu,1,1", "cpu,3,2", "reference,1,2", "reference,3,1"})
  void shouldBringBackEveryBit(String deviceName, int ranks, int moeEvery) {
    RunConfig config = Fixtures.small("train.ranks=" + ranks, "model.moe_every=" + moeEvery);
    try (Device device = Devices.open(deviceName);
        Model from = new Model(device, config);
        Model to = new Model(device, config);
        ShardMemory memory = new ShardMemory(new ShardCatalog(config, device.dtype()))) {
      Fixtures.scramble(from, 11, STEP);
      to.ranks().forEach(rank -> rank.gradientStep(1));
      assertNotEquals(Shards.hash(from), Shards.hash(to));
      List<ShardCopy> copies = copies(from, memory);
      assertEquals(
          List.copyOf(memory.catalog().shards()), copies.stream().map(ShardCopy::shard).toList());
      assertEquals(
          copies.stream().mapToLong(copy -> copy.bytes().byteSize()).sum(), memory.heldBytes());

      for (RankState rank : to.ranks()) {
        ShardStates.copyIn(
            rank, copies.getFirst().bytes(), copies.get(1 + rank.rank()).bytes(), STEP);
        assertEquals(-1, rank.gradientStep(), "a gradient of the old state is worthless");
      }
      for (int i = 0; i < to.experts().size(); i++) {
        ShardStates.copyIn(to.experts().get(i), copies.get(1 + ranks + i).bytes(), STEP);
      }

      assertEquals(Shards.hash(from), Shards.hash(to));
      List<ShardCopy> again = copies(to, memory);
      for (int i = 0; i < copies.size(); i++) {
        assertEquals(STEP, again.get(i).step());
        assertArrayEquals(
            Fixtures.bytes(copies.get(i)), Fixtures.bytes(again.get(i)), "" + copies.get(i));
      }
      from.ranks().forEach(rank -> assertSame(rank, to.ranks().get(rank.rank())));
    }
  }

  private static void assertSame(RankState expected, RankState rank) {
    assertBits(expected.parameters().flat(), rank.parameters().flat());
    assertBits(expected.owned().firstMoment(), rank.owned().firstMoment());
    assertBits(expected.owned().secondMoment(), rank.owned().secondMoment());
  }

  private static void assertBits(Tensor expected, Tensor tensor) {
    assertArrayEquals(expected.toDoubles(), tensor.toDoubles());
  }

  /** All shards in the order of the catalog. */
  private static List<ShardCopy> copies(Model model, ShardMemory memory) {
    List<ShardCopy> copies = new ArrayList<>();
    copies.add(ShardStates.copy(model.ranks().getFirst(), ShardId.trunk(), memory));
    model
        .ranks()
        .forEach(rank -> copies.add(ShardStates.copy(rank, ShardId.moments(rank.rank()), memory)));
    model.experts().forEach(expert -> copies.add(ShardStates.copy(expert, memory)));
    return copies;
  }

  @Test
  void shouldShowNothingOfAnExpertWhoseUpdateWasInterrupted() {
    RunConfig config = Fixtures.small();
    try (Device device = Devices.open("cpu");
        Model model = new Model(device, config);
        ShardMemory memory = new ShardMemory(new ShardCatalog(config, device.dtype()))) {
      ExpertState expert = model.experts().getFirst();
      expert.owned().loaded(STEP);
      assertEquals(OptionalLong.of(STEP), ShardStates.liveStep(expert));
      AdamWStep hyper = new AdamWStep(1e-3, 0.9, 0.999, 1e-8, STEP + 1, 1);
      assertThrows(
          ArithmeticException.class,
          () ->
              expert
                  .owned()
                  .apply(
                      expert.gradients().flat(),
                      hyper,
                      () -> {
                        throw new ArithmeticException("between two chunks");
                      }));
      assertEquals(OptionalLong.empty(), ShardStates.liveStep(expert));
      assertThrows(IllegalStateException.class, () -> ShardStates.copy(expert, memory));
      assertEquals(0, memory.heldBytes());

      expert.owned().apply(expert.gradients().flat(), hyper, () -> {});
      assertEquals(OptionalLong.of(STEP + 1), ShardStates.liveStep(expert));
    }
  }

  @Test
  void shouldShowNoTrunkWhileItsSlicesAreOfDifferentSteps() {
    RunConfig config = Fixtures.small();
    try (Device device = Devices.open("cpu");
        Model model = new Model(device, config);
        ShardMemory memory = new ShardMemory(new ShardCatalog(config, device.dtype()))) {
      RankState rank = model.ranks().get(1);
      rank.loaded(STEP);
      assertEquals(OptionalLong.of(STEP), ShardStates.liveStep(rank, ShardId.trunk()));
      rank.sliceUpdated(0, STEP + 1);
      assertEquals(OptionalLong.empty(), ShardStates.liveStep(rank, ShardId.trunk()));
      assertThrows(
          IllegalStateException.class, () -> ShardStates.copy(rank, ShardId.trunk(), memory));
      assertEquals(OptionalLong.of(STEP), ShardStates.liveStep(rank, ShardId.moments(1)));
      rank.sliceUpdated(1, STEP + 1);
      rank.sliceUpdated(2, STEP + 1);
      assertEquals(OptionalLong.of(STEP + 1), ShardStates.liveStep(rank, ShardId.trunk()));
      assertThrows(
          IllegalArgumentException.class, () -> ShardStates.liveStep(rank, ShardId.moments(0)));
    }
  }

  @Test
  void shouldRefuseBytesOfAnotherSize() {
    RunConfig config = Fixtures.small();
    RunConfig wider = Fixtures.small("model.d_ff=32");
    try (Device device = Devices.open("cpu");
        Model model = new Model(device, config);
        ShardMemory memory = new ShardMemory(new ShardCatalog(wider, device.dtype()))) {
      ExpertState expert = model.experts().getFirst();
      double[] before = expert.parameters().flat().toDoubles();
      ShardCopy copy = memory.allocate(ShardStates.shard(expert), STEP);
      assertThrows(
          IllegalArgumentException.class, () -> ShardStates.copyIn(expert, copy.bytes(), STEP));
      assertEquals(0, expert.owned().committedStep());
      assertEquals(
          Arrays.toString(before), Arrays.toString(expert.parameters().flat().toDoubles()));
    }
  }
}
