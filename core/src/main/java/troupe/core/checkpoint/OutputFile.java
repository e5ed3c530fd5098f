package troupe.core.checkpoint;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** A new file that is written from its begin to its end. */
interface OutputFile extends Closeable {
  /** Writes all remaining bytes. */
  void write(ByteBuffer bytes) throws IOException;

  /** Returns once everything written is on the disk. */
  void sync() throws IOException;

  /** Where new files come from; tests put a full disk here. */
  interface Factory {
    /** Creates a file that must not exist yet. */
    OutputFile create(Path path) throws IOException;
  }

  /** A file of the file system. */
  static OutputFile onDisk(Path path) throws IOException {
    FileChannel channel =
        FileChannel.open(path, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
    return new OutputFile() {
      @Override
      public void write(ByteBuffer bytes) throws IOException {
        while (bytes.hasRemaining()) {
          channel.write(bytes);
        }
      }

      @Override
      public void sync() throws IOException {
        channel.force(true);
      }

      @Override
      public void close() throws IOException {
        channel.close();
      }
    };
  }
}
