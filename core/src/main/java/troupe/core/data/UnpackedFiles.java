package troupe.core.data;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.HexFormat;
import troupe.core.UserException;

/**
 * Packed text, unpacked once into a folder, so that it can be mapped like any other file. An entry
 * belongs to one state of its source (path, size, time of change) and appears under its name only
 * when it is whole, so processes may share the folder. Nothing in it is needed for longer than a
 * run: it can be deleted at any time.
 */
final class UnpackedFiles {
  private final Path folder;

  UnpackedFiles(Path folder) {
    this.folder = folder;
  }

  /** {@code $XDG_CACHE_HOME/troupe/text}, by default below {@code ~/.cache}. */
  static Path defaultFolder() {
    String home = System.getenv("XDG_CACHE_HOME");
    // The XDG base directory specification: relative paths are to be ignored.
    Path cache =
        home != null && Path.of(home).isAbsolute()
            ? Path.of(home)
            : Path.of(System.getProperty("user.home"), ".cache");
    return cache.resolve("troupe").resolve("text");
  }

  /** Writes the text of a packed source. */
  interface Unpacker {
    void unpack(OutputStream out) throws IOException;
  }

  /**
   * The file that holds the unpacked text of a source; unpacks it if that has not been done yet.
   *
   * @throws UserException if the source cannot be unpacked or the folder not be written
   */
  Path get(Path source, Unpacker unpacker) {
    try {
      Path target = folder.resolve(entryName(source));
      if (!Files.isRegularFile(target)) {
        Files.createDirectories(folder);
        write(target, unpacker);
      }
      return target;
    } catch (IOException e) {
      throw new UserException(
          source + " cannot be unpacked to " + folder + ": " + e,
          "check that the file is whole and the disk not full, or set XDG_CACHE_HOME to another"
              + " folder",
          e);
    }
  }

  private static void write(Path target, Unpacker unpacker) throws IOException {
    Path temporary = Files.createTempFile(target.getParent(), "unpacking-", ".tmp");
    try {
      try (FileChannel channel = FileChannel.open(temporary, StandardOpenOption.WRITE);
          OutputStream out = new BufferedOutputStream(Channels.newOutputStream(channel), 1 << 16)) {
        unpacker.unpack(out);
        out.flush();
        // A rename may survive a power failure that the bytes do not.
        channel.force(true);
      }
      Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE);
    } finally {
      Files.deleteIfExists(temporary);
    }
  }

  private static String entryName(Path source) throws IOException {
    Path real = source.toRealPath();
    String state = real + "\n" + Files.size(real) + "\n" + Files.getLastModifiedTime(real);
    HexFormat hex = HexFormat.of();
    return real.getFileName()
        + "-"
        + hex.toHexDigits(StableHash.of(state, 0))
        + hex.toHexDigits(StableHash.of(state, 1))
        + ".txt";
  }
}
