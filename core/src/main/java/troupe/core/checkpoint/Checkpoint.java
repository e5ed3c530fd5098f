package troupe.core.checkpoint;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;

/**
 * A checkpoint on disk, every file of which had the promised content when it was opened.
 *
 * @param directory where its files are
 * @param manifest what it consists of
 */
public record Checkpoint(Path directory, Manifest manifest) {
  static final String SHARD_SUFFIX = ".safetensors";

  /**
   * Reads all files of a checkpoint once and compares their hashes with the manifest.
   *
   * @throws CorruptFileException if a file is missing, torn or changed; it names the file
   * @throws IOException if a file cannot be read
   */
  public static Checkpoint open(Path directory) throws IOException {
    Path file = directory.resolve(Manifest.FILE_NAME);
    if (!Files.exists(file)) {
      throw new CorruptFileException(file, "missing");
    }
    Manifest manifest = Manifest.read(file);
    for (Manifest.Entry entry : manifest.files()) {
      verify(directory.resolve(entry.name()), entry);
    }
    return new Checkpoint(directory, manifest);
  }

  /** The names of all shards, as their writers gave them. */
  public List<String> shards() {
    return manifest.files().stream()
        .map(Manifest.Entry::name)
        .map(name -> name.substring(0, name.length() - SHARD_SUFFIX.length()))
        .toList();
  }

  /**
   * Maps a shard; the caller closes it.
   *
   * @throws IllegalArgumentException if the checkpoint has no such shard
   * @throws CorruptFileException if it has been changed since the checkpoint was opened, as far as
   *     its header tells
   * @throws IOException if it cannot be read
   */
  public SafetensorsFile shard(String name) throws IOException {
    if (!shards().contains(name)) {
      throw new IllegalArgumentException(
          "shard: " + name + " (expected: one of " + shards() + " in " + directory + ")");
    }
    return SafetensorsFile.open(directory.resolve(name + SHARD_SUFFIX));
  }

  private static void verify(Path file, Manifest.Entry expected) throws IOException {
    try {
      long bytes = Files.size(file);
      if (bytes != expected.bytes()) {
        throw new CorruptFileException(file, bytes + " bytes (expected: " + expected.bytes() + ")");
      }
    } catch (NoSuchFileException e) {
      throw new CorruptFileException(file, "missing", e);
    }
    String sha256 = Sha256.of(file);
    if (!sha256.equals(expected.sha256())) {
      throw new CorruptFileException(
          file, "SHA-256: " + sha256 + " (expected: " + expected.sha256() + ")");
    }
  }
}
