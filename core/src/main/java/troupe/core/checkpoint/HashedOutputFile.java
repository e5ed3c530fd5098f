package troupe.core.checkpoint;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.security.MessageDigest;

/**
 * Counts and hashes what goes into a file on its way, so that no file is read again to be hashed.
 */
final class HashedOutputFile implements OutputFile {
  private final OutputFile file;
  private final MessageDigest digest = Sha256.digest();
  private long bytes;

  HashedOutputFile(OutputFile file) {
    this.file = file;
  }

  @Override
  public void write(ByteBuffer chunk) throws IOException {
    digest.update(chunk.duplicate());
    bytes += chunk.remaining();
    file.write(chunk);
  }

  @Override
  public void sync() throws IOException {
    file.sync();
  }

  @Override
  public void close() throws IOException {
    file.close();
  }

  long bytes() {
    return bytes;
  }

  /** The hash of everything written; ends the hashing. */
  String sha256() {
    return Sha256.hex(digest);
  }
}
