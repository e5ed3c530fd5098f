package troupe.core.checkpoint;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import troupe.core.UserException;

/**
 * Keeps a second process off a run. The operating system takes the lock back when its process ends,
 * however it ends.
 */
public final class RunLock implements AutoCloseable {
  private static final String FILE_NAME = "lock";

  // POSIX drops all locks of a process on a file when it closes any descriptor of it: a second
  // attempt within this JVM
  // must not even open the file.
  private static final Set<Path> HELD = ConcurrentHashMap.newKeySet();

  private final Path file;
  private final FileChannel channel;
  private final FileLock lock;

  private RunLock(Path file, FileChannel channel, FileLock lock) {
    this.file = file;
    this.channel = channel;
    this.lock = lock;
  }

  /**
   * Takes the lock of a run, making its folder first if it is missing.
   *
   * @throws UserException if another process has it, or the folder cannot be written to
   */
  public static RunLock acquire(Path runDirectory) {
    return acquire(runDirectory, FILE_NAME);
  }

  /**
   * Takes another lock in the folder of a run, for those who watch over it without being it.
   *
   * @param fileName of the lock
   * @throws UserException as {@link #acquire(Path)}
   */
  public static RunLock acquire(Path runDirectory, String fileName) {
    Path file;
    try {
      Files.createDirectories(runDirectory);
      file = runDirectory.toRealPath().resolve(fileName);
    } catch (IOException e) {
      throw unwritable(runDirectory, e);
    }
    if (!HELD.add(file)) {
      throw inUse(runDirectory, Long.toString(ProcessHandle.current().pid()));
    }
    boolean acquired = false;
    try {
      RunLock held = lock(runDirectory, file);
      acquired = true;
      return held;
    } catch (IOException e) {
      throw unwritable(runDirectory, e);
    } finally {
      if (!acquired) {
        HELD.remove(file);
      }
    }
  }

  /** Gives the lock back. A second call does nothing. */
  @Override
  public void close() {
    if (!channel.isOpen()) {
      return;
    }
    try (channel) {
      channel.truncate(0);
      lock.release();
    } catch (IOException e) {
      // The lock ends with the channel or the process; its text alone may be out of date, and
      // nobody trusts it unlocked.
    } finally {
      HELD.remove(file);
    }
  }

  private static RunLock lock(Path runDirectory, Path file) throws IOException {
    FileChannel channel =
        FileChannel.open(
            file, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
    boolean locked = false;
    try {
      FileLock lock = channel.tryLock();
      if (lock == null) {
        throw inUse(runDirectory, readPid(channel));
      }
      channel.truncate(0);
      String pid = ProcessHandle.current().pid() + "\n";
      channel.write(ByteBuffer.wrap(pid.getBytes(StandardCharsets.US_ASCII)), 0);
      locked = true;
      return new RunLock(file, channel, lock);
    } finally {
      if (!locked) {
        channel.close();
      }
    }
  }

  private static String readPid(FileChannel channel) throws IOException {
    ByteBuffer text = ByteBuffer.allocate(32);
    channel.read(text, 0);
    String pid = StandardCharsets.US_ASCII.decode(text.flip()).toString().strip();
    return pid.isEmpty() ? "unknown" : pid;
  }

  private static UserException inUse(Path runDirectory, String pid) {
    return new UserException(
        "run.dir: "
            + runDirectory
            + " is in use by process "
            + pid
            + " (expected: one process a run)",
        "wait for process " + pid + " to end, stop it, or choose another run.dir");
  }

  private static UserException unwritable(Path runDirectory, IOException cause) {
    return new UserException(
        "run.dir: " + runDirectory + " (expected: a folder that can be written to): " + cause,
        "make it writable or choose another run.dir",
        cause);
  }
}
