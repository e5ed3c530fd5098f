package troupe.coordinator.files;

import java.io.IOException;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;

/** Files that are replaced as a whole: a reader sees the one before or the new one. */
public final class AtomicFile {
  private AtomicFile() {}

  /**
   * Writes a text.
   *
   * @throws IOException if it cannot be written; the file is then as it was
   */
  public static void write(Path file, String text) throws IOException {
    write(file, to -> to.write(text));
  }

  /** A text that is written piece by piece. */
  @FunctionalInterface
  public interface Text {
    /** Writes all of it. */
    void writeTo(Writer writer) throws IOException;
  }

  /**
   * Writes a text that may be long.
   *
   * @throws IOException if it cannot be written; the file is then as it was
   */
  public static void write(Path file, Text text) throws IOException {
    Path temporary = temporary(file);
    try (Writer writer = Files.newBufferedWriter(temporary)) {
      text.writeTo(writer);
    }
    Files.move(temporary, file, StandardCopyOption.ATOMIC_MOVE);
  }

  /** Where the next content of a file grows. */
  static Path temporary(Path file) {
    return file.resolveSibling(file.getFileName() + ".tmp");
  }
}
