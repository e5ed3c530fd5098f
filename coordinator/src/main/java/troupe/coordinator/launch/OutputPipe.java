package troupe.coordinator.launch;

import java.io.BufferedReader;
import java.io.Closeable;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.UUID;
import java.util.function.Consumer;

/**
 * A named pipe through which a process prints. It ends with a mark that is put behind all that the
 * process wrote once that is gone: so nothing is lost to a reader who is late, and nobody waits for
 * others to whom the process left the pipe.
 */
final class OutputPipe implements Closeable {
  private final String mark = UUID.randomUUID().toString();
  private final FileChannel writer;
  private final FileChannel reader;

  private OutputPipe(FileChannel writer, FileChannel reader) {
    this.writer = writer;
    this.reader = reader;
  }

  /**
   * Opens a pipe that is there. From now on others can write to it, and it needs its name no more.
   */
  static OutputPipe open(Path path) throws IOException {
    // Both ways, which Linux does at once: to open one way waits until the other way is open.
    FileChannel writer = FileChannel.open(path, StandardOpenOption.READ, StandardOpenOption.WRITE);
    try {
      return new OutputPipe(writer, FileChannel.open(path, StandardOpenOption.READ));
    } catch (IOException e) {
      writer.close();
      throw e;
    }
  }

  /**
   * Reads until the end or {@link #close}, then closes it.
   *
   * @throws IOException if it was closed before its end
   */
  void readLines(Consumer<String> ears) throws IOException {
    try (this;
        BufferedReader lines =
            new BufferedReader(
                new InputStreamReader(Channels.newInputStream(reader), StandardCharsets.UTF_8))) {
      String line = lines.readLine();
      while (!line.endsWith(mark)) {
        ears.accept(line);
        line = lines.readLine();
      }
      if (line.length() > mark.length()) {
        ears.accept(line.substring(0, line.length() - mark.length()));
      }
    }
  }

  /** Puts the end behind what was written so far; waits for room in the pipe. */
  void end() throws IOException {
    try {
      writer.write(ByteBuffer.wrap((mark + "\n").getBytes(StandardCharsets.UTF_8)));
    } catch (ClosedChannelException e) {
      // Nobody reads any more.
    }
  }

  /** Ends the wait of those that read or write. */
  @Override
  public void close() throws IOException {
    try (writer) {
      reader.close();
    }
  }
}
