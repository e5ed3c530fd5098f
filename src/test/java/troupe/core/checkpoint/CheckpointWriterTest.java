package troupe.core.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;
import static troupe.core.checkpoint.CheckpointFixtures.SHARDS;
import static troupe.core.checkpoint.CheckpointFixtures.arrays;
import static troupe.core.checkpoint.CheckpointFixtures.request;
import static troupe.core.checkpoint.CheckpointFixtures.writeThrough;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import troupe.core.checkpoint.CheckpointFixtures.Outcomes;
import troupe.core.checkpoint.CheckpointOutcome.CheckpointFailed;
import troupe.core.checkpoint.CheckpointOutcome.CheckpointWritten;

class CheckpointWriterTest {
  private static final Duration PATIENCE = Duration.ofMinutes(1);
  private static final InstantSource CLOCK =
      InstantSource.fixed(Instant.parse("2026-01-02T03:04:05Z"));
  private static final Path FULL_DEVICE = Path.of("/dev/full");

  @TempDir private Path checkpoints;
  private final Outcomes outcomes = new Outcomes();

  @Test
  void shouldPublishOnceAllShardsHaveCome() throws Exception {
    AtomicInteger released = new AtomicInteger();
    try (CheckpointWriter writer = CheckpointWriter.start(checkpoints, 2, outcomes)) {
      assertTrue(writer.begin(request(100)));
      List<Thread> owners = new ArrayList<>();
      for (String shard : SHARDS) {
        ShardSnapshot snapshot =
            new ShardSnapshot(shard, arrays(100, shard), released::incrementAndGet);
        owners.add(Thread.ofPlatform().start(() -> assertTrue(writer.offer(1, 100, snapshot))));
      }
      CheckpointWritten written = assertInstanceOf(CheckpointWritten.class, outcomes.next());
      assertEquals(100, written.step());
      assertEquals(checkpoints.resolve("step-00000100"), written.directory());
      assertEquals(sizeOfShards(written.directory()), written.bytes());
      assertTrue(written.elapsed().compareTo(written.writing()) >= 0, written.toString());
      assertEquals(SHARDS.size(), released.get());
      for (Thread owner : owners) {
        owner.join();
      }
    }
    assertEquals(List.of("step-00000100"), names());
    assertEquals(List.of(), outcomes.rest());
  }

  @Test
  void shouldKeepItUnnamedWhileAShardIsMissing() throws Exception {
    try (CheckpointWriter writer = CheckpointWriter.start(checkpoints, 2, outcomes)) {
      writer.begin(request(100));
      CountDownLatch twoWritten = new CountDownLatch(2);
      SHARDS.stream()
          .filter(shard -> !shard.equals("trunk"))
          .forEach(
              shard ->
                  writer.offer(
                      1, 100, new ShardSnapshot(shard, arrays(100, shard), twoWritten::countDown)));
      twoWritten.await();
      assertEquals(List.of("step-00000100.tmp-" + ProcessHandle.current().pid()), names());
    }
    CheckpointFailed failed = assertInstanceOf(CheckpointFailed.class, outcomes.next());
    assertTrue(failed.reason().contains("before all shards had come"), failed.reason());
    assertEquals(List.of(), names());
  }

  @Test
  void shouldRefuseAThirdCheckpointAndReleaseItsSnapshots() {
    AtomicInteger released = new AtomicInteger();
    try (CheckpointWriter writer = CheckpointWriter.start(checkpoints, 5, outcomes)) {
      assertTrue(writer.begin(request(100)));
      assertFalse(writer.begin(request(100)), "the same one twice");
      assertTrue(writer.begin(request(200)));
      assertFalse(writer.begin(request(300)));
      for (String shard : SHARDS) {
        assertFalse(writer.offer(1, 300, snapshot(300, shard, released)));
        assertFalse(writer.offer(7, 100, snapshot(100, shard, released)), "another epoch");
        assertTrue(writer.offer(1, 200, snapshot(200, shard, released)));
        assertFalse(writer.offer(1, 200, snapshot(200, shard, released)), "twice");
      }
      assertFalse(writer.offer(1, 100, snapshot(100, "expert-l99-e999", released)), "not expected");
      assertEquals(3 * SHARDS.size() + 1, released.get());
      for (String shard : SHARDS) {
        assertTrue(writer.offer(1, 100, snapshot(100, shard, released)));
      }
      assertEquals(100, assertInstanceOf(CheckpointWritten.class, outcomes.next()).step());
      assertEquals(200, assertInstanceOf(CheckpointWritten.class, outcomes.next()).step());
      assertTrue(writer.begin(request(300)));
    }
    assertEquals(5 * SHARDS.size() + 1, released.get());
  }

  @Test
  void shouldReleaseEverythingWhenItIsGivenUp() throws IOException {
    AtomicInteger released = new AtomicInteger();
    try (CheckpointWriter writer = CheckpointWriter.start(checkpoints, 5, outcomes)) {
      writer.begin(request(100));
      writer.begin(request(200));
      writer.offer(1, 100, snapshot(100, "trunk", released));
      writer.offer(1, 200, snapshot(200, "trunk", released));
      writer.abort(1, 200, "epoch 2 began");
      writer.abort(1, 100, "epoch 2 began");
      writer.abort(1, 999, "there is none");
      CheckpointFailed failed = assertInstanceOf(CheckpointFailed.class, outcomes.next());
      assertEquals("epoch 2 began", failed.reason());
      assertInstanceOf(CheckpointFailed.class, outcomes.next());
      assertFalse(writer.offer(1, 100, snapshot(100, "expert-l00-e000", released)));
      writeThrough(writer, 300);
      assertInstanceOf(CheckpointWritten.class, outcomes.next());
    }
    assertEquals(3, released.get());
    assertEquals(List.of("step-00000300"), names());
  }

  @Test
  void shouldFailAndRecoverWhenTheDiskIsFullAtAnyPoint() throws IOException {
    long needed = measure();
    for (int eighths = 0; eighths <= 8; eighths++) {
      AtomicLong free = new AtomicLong(needed * eighths / 8 - 1);
      AtomicInteger released = new AtomicInteger();
      try (CheckpointWriter writer =
          CheckpointWriter.start(
              checkpoints, 2, outcomes, path -> new SmallDisk(path, free), CLOCK, PATIENCE)) {
        writer.begin(request(200));
        for (String shard : SHARDS) {
          writer.offer(1, 200, snapshot(200, shard, released));
        }
        CheckpointFailed failed = assertInstanceOf(CheckpointFailed.class, outcomes.next());
        assertEquals(200, failed.step());
        assertTrue(failed.reason().contains("No space left on device"), failed.reason());
        assertTrue(failed.hint().contains("disk space"), failed.hint());
        assertEquals(List.of("step-00000100"), names(), "only the earlier one stays");
        free.set(Long.MAX_VALUE);
        writeThrough(writer, 300);
        assertInstanceOf(CheckpointWritten.class, outcomes.next());
      }
      assertEquals(SHARDS.size(), released.get());
      StepDirectory.deleteTree(checkpoints.resolve("step-00000300"));
    }
  }

  @Test
  void shouldFailWhenTheDeviceIsFull() throws IOException {
    assumeTrue(Files.isWritable(FULL_DEVICE), "this system has no " + FULL_DEVICE);
    OutputFile.Factory full =
        path -> {
          FileChannel channel = FileChannel.open(FULL_DEVICE, StandardOpenOption.WRITE);
          return new ChannelFile(channel);
        };
    try (CheckpointWriter writer =
        CheckpointWriter.start(checkpoints, 2, outcomes, full, CLOCK, PATIENCE)) {
      writeThrough(writer, 100);
      CheckpointFailed failed = assertInstanceOf(CheckpointFailed.class, outcomes.next());
      assertTrue(failed.reason().contains("No space left on device"), failed.reason());
    }
    assertEquals(List.of(), names());
  }

  /** A network disk whose server is gone: writing neither fails nor returns. */
  @Test
  void shouldNotWaitForADiskThatNeverAnswers() throws Exception {
    CountDownLatch answers = new CountDownLatch(1);
    OutputFile.Factory stuck =
        path -> {
          try {
            answers.await();
          } catch (InterruptedException e) {
            throw new IOException(e);
          }
          return OutputFile.onDisk(path);
        };
    CheckpointWriter writer =
        CheckpointWriter.start(checkpoints, 2, outcomes, stuck, CLOCK, Duration.ofMillis(20));
    writeThrough(writer, 100);
    writer.close();
    assertEquals(SHARDS.size(), writer.progress());
    answers.countDown();
    assertInstanceOf(CheckpointWritten.class, outcomes.next());
    assertEquals(2 * SHARDS.size(), writer.progress());
  }

  @Test
  void shouldFailWhenTheFolderCannotBeMade() throws IOException {
    Path file = Files.writeString(checkpoints.resolve("file"), "in the way");
    try (CheckpointWriter writer = CheckpointWriter.start(file, 2, outcomes)) {
      writeThrough(writer, 100);
      CheckpointFailed failed = assertInstanceOf(CheckpointFailed.class, outcomes.next());
      assertTrue(failed.reason().contains(file.toString()), failed.reason());
      assertEquals(1, failed.reason().lines().count(), failed.reason());
    }
  }

  @Test
  void shouldSurviveOwnersThatThrowOnRelease() {
    try (CheckpointWriter writer = CheckpointWriter.start(checkpoints, 2, outcomes)) {
      writer.begin(request(100));
      Runnable broken =
          () -> {
            throw new IllegalStateException("owner is gone");
          };
      SHARDS.forEach(
          shard -> writer.offer(1, 100, new ShardSnapshot(shard, arrays(100, shard), broken)));
      assertInstanceOf(CheckpointWritten.class, outcomes.next());
    }
  }

  @Test
  void shouldKeepTheNewestOnly() throws IOException {
    for (long step = 100; step <= 500; step += 100) {
      CheckpointFixtures.write(checkpoints, 2, step);
    }
    assertEquals(List.of("step-00000400", "step-00000500"), names());
    assertThrows(
        IllegalArgumentException.class, () -> CheckpointWriter.start(checkpoints, 0, outcomes));
  }

  @Test
  void shouldKeepWhatTheRunStandsOnWhenItWentBack() throws IOException {
    CheckpointFixtures.write(checkpoints, 1, 300);
    Files.write(checkpoints.resolve("step-00000300/trunk.safetensors"), new byte[1]);
    CheckpointFixtures.write(checkpoints, 1, 200);
    assertEquals(List.of("step-00000200", "step-00000300"), names());
    assertEquals(200, newestStep());
    CheckpointFixtures.write(checkpoints, 1, 300);
    assertEquals(List.of("step-00000300"), names());
    assertEquals(300, newestStep());
  }

  @Test
  void shouldCleanUpAfterDeadProcesses() throws IOException {
    CheckpointFixtures.write(checkpoints, 9, 100);
    CheckpointFixtures.write(checkpoints, 9, 200);
    long dead = 999_999_999_999L;
    long alive = 1;
    Files.createDirectory(checkpoints.resolve("step-00000300.tmp-" + dead));
    Files.writeString(
        checkpoints.resolve("step-00000300.tmp-" + dead + "/trunk.safetensors"), "half");
    Files.createDirectory(checkpoints.resolve("step-00000300.tmp-" + alive));
    Files.createDirectory(checkpoints.resolve("step-00000100.old-" + dead));
    // A crash between the two renames of a replacement.
    Files.move(
        checkpoints.resolve("step-00000200"), checkpoints.resolve("step-00000200.old-" + dead));
    assertEquals(200, newestStep());
    CheckpointWriter.start(checkpoints, 9, outcomes).close();
    assertEquals(List.of("step-00000100", "step-00000200", "step-00000300.tmp-" + alive), names());
    assertEquals(200, newestStep());
  }

  private long newestStep() {
    return Checkpoints.newestWhole(checkpoints).orElseThrow().checkpoint().manifest().step();
  }

  /** Writes step 100 and counts the bytes it takes. */
  private long measure() throws IOException {
    AtomicLong free = new AtomicLong(Long.MAX_VALUE);
    try (CheckpointWriter writer =
        CheckpointWriter.start(
            checkpoints, 2, outcomes, path -> new SmallDisk(path, free), CLOCK, PATIENCE)) {
      writeThrough(writer, 100);
      assertInstanceOf(CheckpointWritten.class, outcomes.next());
    }
    return Long.MAX_VALUE - free.get();
  }

  private static ShardSnapshot snapshot(long step, String shard, AtomicInteger released) {
    return new ShardSnapshot(shard, arrays(step, shard), released::incrementAndGet);
  }

  private List<String> names() throws IOException {
    try (var paths = Files.list(checkpoints)) {
      return paths.map(path -> path.getFileName().toString()).sorted().toList();
    }
  }

  private static long sizeOfShards(Path directory) throws IOException {
    long bytes = 0;
    for (String shard : SHARDS) {
      bytes += Files.size(directory.resolve(shard + ".safetensors"));
    }
    return bytes;
  }

  /** A file on a device that the test chose. */
  private static final class ChannelFile implements OutputFile {
    private final FileChannel channel;

    ChannelFile(FileChannel channel) {
      this.channel = channel;
    }

    @Override
    public void write(ByteBuffer bytes) throws IOException {
      channel.write(bytes);
    }

    @Override
    public void sync() throws IOException {
      channel.force(true);
    }

    @Override
    public void close() throws IOException {
      channel.close();
    }
  }

  /** A file on a disk with room for a number of bytes, shared by all of its files. */
  private static final class SmallDisk implements OutputFile {
    private final OutputFile file;
    private final AtomicLong free;

    SmallDisk(Path path, AtomicLong free) throws IOException {
      this.file = OutputFile.onDisk(path);
      this.free = free;
    }

    @Override
    public void write(ByteBuffer bytes) throws IOException {
      int fits = (int) Math.max(0, Math.min(bytes.remaining(), free.get()));
      boolean full = fits < bytes.remaining();
      free.addAndGet(-fits);
      file.write(bytes.slice(bytes.position(), fits));
      bytes.position(bytes.position() + fits);
      if (full) {
        throw new IOException("No space left on device");
      }
    }

    @Override
    public void sync() throws IOException {
      file.sync();
    }

    @Override
    public void close() throws IOException {
      file.close();
    }
  }
}
