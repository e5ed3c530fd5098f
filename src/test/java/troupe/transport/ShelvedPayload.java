package troupe.transport;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Rows that another process can read in a file until they are released: the shelf of a device,
 * without a device.
 */
final class ShelvedPayload implements Payload {
  private final CountedPayload rows;
  private final Path file;
  private volatile boolean isShelved;

  /** Whether the rows are on their way to the shelf. */
  private volatile boolean isLate;

  private final AtomicInteger looks = new AtomicInteger();

  ShelvedPayload(CountedPayload rows, Path folder) {
    this.rows = rows;
    this.file = folder.resolve("shelf-" + System.nanoTime() + "-" + System.identityHashCode(this));
  }

  @Override
  public void prepare(boolean nearby) {
    if (nearby && !isShelved) {
      try {
        Files.write(file, rows.bytes().toArray(ValueLayout.JAVA_BYTE));
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
      isShelved = true;
    }
  }

  /** Has the rows come once they are said to be here; until then who picks them up waits. */
  ShelvedPayload late() {
    isLate = true;
    return this;
  }

  @Override
  public boolean isReady() {
    looks.incrementAndGet();
    return !isLate;
  }

  @Override
  public boolean tellsWhenReady() {
    return isLate;
  }

  /** How often somebody asked whether they are here. */
  int looks() {
    return looks.get();
  }

  void isHere() {
    isLate = false;
  }

  boolean isShelved() {
    return isShelved;
  }

  @Override
  public MemorySegment bytes() {
    return rows.bytes();
  }

  @Override
  public byte[] reference() {
    return isShelved ? file.toString().getBytes(StandardCharsets.UTF_8) : null;
  }

  @Override
  public void release() {
    rows.release();
    try {
      Files.deleteIfExists(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  int releases() {
    return rows.releases();
  }

  /** What lies there. */
  static CountedPayload read(byte[] reference) {
    try {
      Path file = Path.of(new String(reference, StandardCharsets.UTF_8));
      byte[] bytes = Files.readAllBytes(file);
      CountedPayload copy = new CountedPayload(bytes.length);
      copy.bytes().copyFrom(MemorySegment.ofArray(bytes));
      return copy;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
