package troupe.coordinator.host;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import troupe.coordinator.run.Shards;
import troupe.core.checkpoint.Checkpoint;
import troupe.core.checkpoint.CheckpointOutcome;
import troupe.core.checkpoint.CheckpointOutcome.CheckpointWritten;
import troupe.core.checkpoint.CheckpointRequest;
import troupe.core.checkpoint.CheckpointWriter;
import troupe.core.checkpoint.NamedArray;
import troupe.core.checkpoint.ShardSnapshot;
import troupe.core.config.RunConfig;
import troupe.core.nn.Parameters;
import troupe.core.tensor.Device;
import troupe.core.tensor.Devices;
import troupe.core.tensor.Tensor;
import troupe.expert.network.ExpertState;
import troupe.router.trunk.RankState;

/** Files of a checkpoint that is written through flat copies of shards, and read back. */
final class ShardFilesTest {
  private static final long STEP = 9;

  @TempDir private Path folder;

  @ParameterizedTest
  @ValueSource(strings = {"cpu", "reference"})
  void shouldWriteTheBytesThatTheArraysOfTheModelAre(String deviceName) throws Exception {
    RunConfig config = Fixtures.small();
    try (Device device = Devices.open(deviceName);
        Model model = new Model(device, config);
        ShardMemory memory = new ShardMemory(new ShardCatalog(config, device.dtype()))) {
      Fixtures.scramble(model, 3, STEP);
      ShardFiles files = new ShardFiles(memory.catalog());
      Checkpoint flat = write("flat", files.names(), flatSnapshots(model, memory, files));
      Checkpoint direct = write("direct", files.names(), directSnapshots(model));
      assertEquals(0, memory.heldBytes(), "the writer has given all copies back");
      assertEquals(
          List.of(
              "expert-l01-e000",
              "expert-l01-e001",
              "expert-l01-e002",
              "trunk-optimizer-r00",
              "trunk-optimizer-r01",
              "trunk-optimizer-r02",
              "trunk"),
          flat.shards());
      assertEquals(direct.shards(), flat.shards());
      for (String shard : direct.shards()) {
        assertArrayEquals(
            Files.readAllBytes(direct.directory().resolve(shard + ".safetensors")),
            Files.readAllBytes(flat.directory().resolve(shard + ".safetensors")),
            shard);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"cpu", "reference"})
  void shouldLoadWhatItWrote(String deviceName) throws Exception {
    RunConfig config = Fixtures.small();
    try (Device device = Devices.open(deviceName);
        Model written = new Model(device, config);
        Model loaded = new Model(device, config);
        ShardMemory memory = new ShardMemory(new ShardCatalog(config, device.dtype()))) {
      Fixtures.scramble(written, 4, STEP);
      ShardFiles files = new ShardFiles(memory.catalog());
      Checkpoint checkpoint = write("run", files.names(), flatSnapshots(written, memory, files));
      // A block that is used again holds old bytes where a layout has padding.
      memory.catalog().shards().forEach(shard -> dirty(memory, shard));

      Shards.load(checkpoint, loaded);

      assertEquals(Shards.hash(written), Shards.hash(loaded));
      assertEquals(STEP, loaded.committedStep());
      DiskShards disk = new DiskShards(checkpoint, memory.catalog());
      assertEquals(STEP, disk.step());
      for (ExpertState expert : loaded.experts()) {
        ShardCopy fromDisk = disk.read(ShardStates.shard(expert), memory);
        ShardCopy live = ShardStates.copy(expert, memory);
        assertArrayEquals(Fixtures.bytes(live), Fixtures.bytes(fromDisk), fromDisk.toString());
      }
      for (RankState rank : loaded.ranks()) {
        ShardCopy fromDisk = disk.read(ShardId.moments(rank.rank()), memory);
        ShardCopy live = ShardStates.copy(rank, ShardId.moments(rank.rank()), memory);
        assertArrayEquals(Fixtures.bytes(live), Fixtures.bytes(fromDisk), fromDisk.toString());
      }
    }
  }

  private static void dirty(ShardMemory memory, ShardId shard) {
    ShardCopy copy = memory.allocate(shard, 0);
    copy.bytes().fill((byte) 0x55);
    copy.release();
  }

  @Test
  void shouldSayWhichArrayIsNotOfThisModel() throws Exception {
    RunConfig config = Fixtures.small();
    RunConfig wider = Fixtures.small("model.d_ff=32");
    try (Device device = Devices.open("cpu");
        Model model = new Model(device, config);
        ShardMemory memory = new ShardMemory(new ShardCatalog(config, device.dtype()));
        ShardMemory widerMemory = new ShardMemory(new ShardCatalog(wider, device.dtype()))) {
      ShardFiles files = new ShardFiles(memory.catalog());
      Checkpoint checkpoint = write("run", files.names(), flatSnapshots(model, memory, files));
      DiskShards disk = new DiskShards(checkpoint, widerMemory.catalog());
      ShardId expert = ShardStates.shard(model.experts().getFirst());
      IOException mistake = assertThrows(IOException.class, () -> disk.read(expert, widerMemory));
      assertTrue(mistake.getMessage().contains("(expected: F32 of "), mistake.getMessage());
      assertEquals(0, widerMemory.heldBytes());
    }
  }

  private static List<ShardSnapshot> flatSnapshots(
      Model model, ShardMemory memory, ShardFiles files) {
    List<ShardSnapshot> snapshots = new ArrayList<>();
    snapshots.add(
        files.snapshot(ShardStates.copy(model.ranks().getLast(), ShardId.trunk(), memory)));
    for (RankState rank : model.ranks()) {
      snapshots.add(files.snapshot(ShardStates.copy(rank, ShardId.moments(rank.rank()), memory)));
    }
    for (ExpertState expert : model.experts()) {
      snapshots.add(files.snapshot(ShardStates.copy(expert, memory)));
    }
    return snapshots;
  }

  /** The same files straight from the tensors of the model: what the format is. */
  private static List<ShardSnapshot> directSnapshots(Model model) {
    List<ShardSnapshot> snapshots = new ArrayList<>();
    Parameters trunk = model.ranks().getFirst().parameters();
    snapshots.add(new ShardSnapshot("trunk", named(trunk, trunk.flat(), ""), () -> {}));
    for (RankState rank : model.ranks()) {
      snapshots.add(
          new ShardSnapshot(
              "trunk-optimizer-r0" + rank.rank(),
              List.of(
                  flat("adam_m", rank.owned().firstMoment()),
                  flat("adam_v", rank.owned().secondMoment())),
              () -> {}));
    }
    for (ExpertState expert : model.experts()) {
      List<NamedArray> arrays =
          new ArrayList<>(named(expert.parameters(), expert.parameters().flat(), ""));
      arrays.addAll(named(expert.parameters(), expert.owned().firstMoment(), ".adam_m"));
      arrays.addAll(named(expert.parameters(), expert.owned().secondMoment(), ".adam_v"));
      snapshots.add(
          new ShardSnapshot(
              "expert-l0" + expert.layer() + "-e00" + expert.expert(), arrays, () -> {}));
    }
    return snapshots;
  }

  private static NamedArray flat(String name, Tensor tensor) {
    return new NamedArray(name, tensor.dtype(), new long[] {tensor.size()}, tensor.bytes());
  }

  private static List<NamedArray> named(Parameters parameters, Tensor flat, String suffix) {
    return parameters.layout().specs().stream()
        .map(
            spec -> {
              long offset = parameters.layout().offset(spec.name());
              Tensor view = flat.slice(offset, spec.rows(), spec.columns());
              return new NamedArray(
                  spec.name() + suffix, view.dtype(), spec.longShape(), view.bytes());
            })
        .toList();
  }

  private Checkpoint write(String name, Set<String> shards, List<ShardSnapshot> snapshots)
      throws Exception {
    CompletableFuture<CheckpointOutcome> outcome = new CompletableFuture<>();
    try (CheckpointWriter writer =
        CheckpointWriter.start(Files.createDirectory(folder.resolve(name)), 1, outcome::complete)) {
      assertTrue(
          writer.begin(new CheckpointRequest(1, STEP, "c0ffee", "1", 7, new HashSet<>(shards))));
      for (ShardSnapshot snapshot : snapshots) {
        assertTrue(writer.offer(1, STEP, snapshot), snapshot.shard());
      }
    }
    return Checkpoint.open(assertInstanceOf(CheckpointWritten.class, outcome.join()).directory());
  }
}
