package troupe.core.checkpoint;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;

/**
 * One checkpoint being written under a temporary name. Closing it before it is published deletes
 * it.
 */
final class CheckpointDirectory implements AutoCloseable {
  private final Path checkpoints;
  private final CheckpointRequest request;
  private final OutputFile.Factory files;
  private final Path temporary;
  private final List<Manifest.Entry> entries = new ArrayList<>();
  private boolean published;

  private CheckpointDirectory(
      Path checkpoints, CheckpointRequest request, OutputFile.Factory files) {
    this.checkpoints = checkpoints;
    this.request = request;
    this.files = files;
    this.temporary =
        StepDirectory.temporary(checkpoints, request.step(), ProcessHandle.current().pid());
  }

  static CheckpointDirectory create(
      Path checkpoints, CheckpointRequest request, OutputFile.Factory files) throws IOException {
    CheckpointDirectory directory = new CheckpointDirectory(checkpoints, request, files);
    Files.createDirectories(checkpoints);
    StepDirectory.deleteTree(directory.temporary);
    Files.createDirectory(directory.temporary);
    return directory;
  }

  /** Writes and syncs one shard. */
  void write(ShardSnapshot snapshot) throws IOException {
    String name = snapshot.shard() + Checkpoint.SHARD_SUFFIX;
    try (HashedOutputFile file = new HashedOutputFile(files.create(temporary.resolve(name)))) {
      Safetensors.write(file, Map.of("format", "pt"), snapshot.arrays());
      entries.add(new Manifest.Entry(name, file.bytes(), file.sha256()));
    } catch (IOException e) {
      throw new IOException(name + ": " + e.getMessage(), e);
    }
  }

  /** Bytes of all shards written so far. */
  long bytes() {
    return entries.stream().mapToLong(Manifest.Entry::bytes).sum();
  }

  /** Writes the manifest, makes everything durable and gives the directory its name. */
  Path publish(Instant created) throws IOException {
    entries.sort(Comparator.comparing(Manifest.Entry::name));
    Manifest manifest =
        new Manifest(
            request.step(),
            request.epoch(),
            request.configHash(),
            request.runId(),
            request.seed(),
            created,
            entries);
    try (OutputFile file = files.create(temporary.resolve(Manifest.FILE_NAME))) {
      file.write(ByteBuffer.wrap(manifest.toJson()));
      file.sync();
    }
    StepDirectory.sync(temporary);
    Path path = StepDirectory.published(checkpoints, request.step());
    Path old = StepDirectory.movedAside(checkpoints, request.step(), ProcessHandle.current().pid());
    boolean replaces = moveAside(path, old);
    Files.move(temporary, path, StandardCopyOption.ATOMIC_MOVE);
    published = true;
    StepDirectory.sync(checkpoints);
    if (replaces) {
      StepDirectory.deleteTree(old);
    }
    return path;
  }

  /**
   * A step is written again when the run went back before it; the earlier directory may be the only
   * whole one.
   */
  private static boolean moveAside(Path path, Path old) throws IOException {
    try {
      StepDirectory.deleteTree(old);
      Files.move(path, old, StandardCopyOption.ATOMIC_MOVE);
      return true;
    } catch (NoSuchFileException e) {
      return false;
    }
  }

  @Override
  public void close() throws IOException {
    if (!published) {
      StepDirectory.deleteTree(temporary);
    }
  }
}
