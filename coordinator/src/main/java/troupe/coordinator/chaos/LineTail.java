package troupe.coordinator.chaos;

import java.io.ByteArrayOutputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * The new lines of a file that others append to. When the coordinator moves, another file takes the
 * name, with what the new one keeps of the old: lines that were seen are not told again.
 */
final class LineTail {
  private final Path file;
  private final Set<String> seen = new HashSet<>();
  private final ByteArrayOutputStream unfinished = new ByteArrayOutputStream();
  private Object identity;
  private long offset;

  LineTail(Path file) {
    this.file = file;
  }

  /** Whole lines that were not there before; a missing file has none. */
  List<String> poll() throws IOException {
    Object found;
    try {
      found = Files.readAttributes(file, BasicFileAttributes.class).fileKey();
    } catch (NoSuchFileException e) {
      return List.of();
    }
    List<String> lines = new ArrayList<>();
    try (RandomAccessFile bytes = new RandomAccessFile(file.toFile(), "r")) {
      if (!found.equals(identity) || bytes.length() < offset) {
        identity = found;
        offset = 0;
        unfinished.reset();
      }
      bytes.seek(offset);
      byte[] chunk = new byte[1 << 16];
      for (int length = bytes.read(chunk); length > 0; length = bytes.read(chunk)) {
        offset += length;
        split(chunk, length, lines);
      }
    } catch (FileNotFoundException e) {
      return lines; // Replaced this moment.
    }
    return lines;
  }

  private void split(byte[] chunk, int length, List<String> lines) {
    for (int i = 0; i < length; i++) {
      if (chunk[i] != '\n') {
        unfinished.write(chunk[i]);
        continue;
      }
      String line = unfinished.toString(StandardCharsets.UTF_8);
      unfinished.reset();
      if (!line.isBlank() && seen.add(line)) {
        lines.add(line);
      }
    }
  }
}
