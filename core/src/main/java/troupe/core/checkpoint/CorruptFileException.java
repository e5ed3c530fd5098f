package troupe.core.checkpoint;

import java.io.IOException;
import java.nio.file.Path;

/**
 * A file does not hold what its format or its manifest promises. The message is one line: the file,
 * then why.
 */
public final class CorruptFileException extends IOException {
  CorruptFileException(Path file, String why) {
    this(file, why, null);
  }

  /**
   * A parser stumbled over the file; its first line says where, less the advice that it has for
   * programmers.
   */
  static CorruptFileException unreadable(Path file, String part, Exception parser) {
    String why = String.valueOf(parser.getMessage()).lines().findFirst().orElse("");
    return new CorruptFileException(
        file, part + ": " + why.replaceFirst("^Use JsonReader\\S+ to accept ", ""), parser);
  }

  CorruptFileException(Path file, String why, Throwable cause) {
    // Names in a hostile file may hold line breaks; the message stays one line.
    super((file + ": " + why).replaceAll("\\p{Cntrl}", "?"), cause);
  }
}
