package troupe.core.checkpoint;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static troupe.core.checkpoint.CheckpointFixtures.SHARDS;
import static troupe.core.checkpoint.CheckpointFixtures.arrays;
import static troupe.core.checkpoint.CheckpointFixtures.bytes;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.random.RandomGenerator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import troupe.core.UserException;
import troupe.core.checkpoint.CheckpointOutcome.CheckpointWritten;

class CheckpointsTest {
  @TempDir private Path checkpoints;

  @Test
  void shouldFindNothingWhenNoCheckpointWasFinished() throws IOException {
    assertEquals(Optional.empty(), Checkpoints.newestWhole(checkpoints.resolve("missing")));
    Files.createDirectory(checkpoints.resolve("step-00000100.tmp-1"));
    Files.createDirectory(checkpoints.resolve("step-notes"));
    assertEquals(Optional.empty(), Checkpoints.newestWhole(checkpoints));
  }

  @Test
  void shouldReadBackWhatWasWritten() throws IOException {
    write(100);
    Checkpoint checkpoint = newest().checkpoint();
    assertEquals(SHARDS, Set.copyOf(checkpoint.shards()));
    Manifest manifest = checkpoint.manifest();
    assertEquals(100, manifest.step());
    assertEquals(1, manifest.epoch());
    assertEquals(42, manifest.seed());
    assertEquals("config-hash", manifest.configHash());
    assertEquals("run-id", manifest.runId());
    for (String shard : SHARDS) {
      try (SafetensorsFile file = checkpoint.shard(shard)) {
        for (NamedArray expected : arrays(100, shard)) {
          assertArrayEquals(bytes(expected), bytes(file.arrays().get(expected.name())));
        }
      }
    }
    assertThrows(IllegalArgumentException.class, () -> checkpoint.shard("../trunk").close());
  }

  @Test
  void shouldTakeTheNewestWhenAllAreWhole() {
    write(100);
    write(200);
    assertEquals(200, newest().checkpoint().manifest().step());
    assertEquals(List.of(), newest().skipped());
  }

  @Test
  void shouldFallBackAndNameTheFileWhenItIsTornAtAnyEighth() throws IOException {
    write(100);
    write(200);
    for (Path file : files(200)) {
      byte[] whole = Files.readAllBytes(file);
      for (int eighths = 0; eighths < 8; eighths++) {
        Files.write(file, Arrays.copyOf(whole, whole.length * eighths / 8));
        assertFellBack(file, eighths + "/8");
      }
      Files.write(file, Arrays.copyOf(whole, whole.length - 1));
      assertFellBack(file, "one byte short");
      Files.write(file, Arrays.copyOf(whole, whole.length + 1));
      assertFellBack(file, "one byte long");
      Files.delete(file);
      assertFellBack(file, "deleted");
      Files.write(file, whole);
      assertEquals(200, newest().checkpoint().manifest().step());
    }
  }

  @Test
  void shouldFallBackAndNameTheFileWhenAnyBitFlips() throws IOException {
    write(100);
    write(200);
    long seed = System.nanoTime();
    RandomGenerator random = CheckpointFixtures.random(seed);
    for (Path file : files(200)) {
      byte[] whole = Files.readAllBytes(file);
      for (int i = 0; i < 40; i++) {
        byte[] flipped = whole.clone();
        int at = random.nextInt(whole.length);
        flipped[at] ^= (byte) (1 << random.nextInt(8));
        Files.write(file, flipped);
        assertFellBack(file, "seed " + seed + " byte " + at);
      }
      Files.write(file, whole);
    }
  }

  @Test
  void shouldFallBackWhenACheckpointCarriesAnotherStepsName() throws IOException {
    write(100);
    write(200);
    Files.move(checkpoints.resolve("step-00000200"), checkpoints.resolve("step-00000300"));
    Checkpoints.Newest newest = newest();
    assertEquals(100, newest.checkpoint().manifest().step());
    assertTrue(newest.skipped().getFirst().contains("step: 200 (expected: 300)"));
  }

  @Test
  void shouldFailRatherThanStartAfreshWhenNoneIsWhole() throws IOException {
    write(100);
    write(200);
    Path torn = checkpoints.resolve("step-00000200/trunk.safetensors");
    Files.write(torn, new byte[3]);
    Path missing = checkpoints.resolve("step-00000100/manifest.json");
    Files.delete(missing);
    UserException e = assertThrows(UserException.class, () -> Checkpoints.newestWhole(checkpoints));
    assertTrue(e.getMessage().contains(torn + ": 3 bytes"), e.getMessage());
    assertTrue(e.getMessage().contains(missing + ": missing"), e.getMessage());
    assertTrue(e.hint().contains("run.dir"), e.hint());
  }

  @Test
  void shouldRefuseAManifestThatPointsOutOfItsDirectory() throws IOException {
    write(100);
    Path manifest = checkpoints.resolve("step-00000100/manifest.json");
    String text = Files.readString(manifest, StandardCharsets.UTF_8);
    Files.writeString(manifest, text.replace("trunk.safetensors", "../../trunk.safetensors"));
    assertThrows(CorruptFileException.class, () -> Manifest.read(manifest));
    assertThrows(IllegalArgumentException.class, () -> new Manifest.Entry("../x", 1, ""));
    assertThrows(IllegalArgumentException.class, () -> new Manifest.Entry("a/b", 1, ""));
    assertThrows(IllegalArgumentException.class, () -> new Manifest.Entry(".hidden", 1, ""));
  }

  private void write(long step) {
    assertInstanceOf(CheckpointWritten.class, CheckpointFixtures.write(checkpoints, 9, step));
  }

  private Checkpoints.Newest newest() {
    return Checkpoints.newestWhole(checkpoints).orElseThrow();
  }

  private void assertFellBack(Path file, String what) {
    Checkpoints.Newest newest = newest();
    assertEquals(100, newest.checkpoint().manifest().step(), file + " " + what);
    assertEquals(1, newest.skipped().size(), file + " " + what);
    String line = newest.skipped().getFirst();
    assertTrue(line.contains(file.toString()), line);
    assertEquals(1, line.lines().count(), line);
  }

  private List<Path> files(long step) throws IOException {
    Path directory = checkpoints.resolve(String.format("step-%08d", step));
    try (DirectoryStream<Path> stream = Files.newDirectoryStream(directory)) {
      List<Path> files = new ArrayList<>();
      stream.forEach(files::add);
      assertEquals(SHARDS.size() + 1, files.size());
      return files;
    }
  }
}
