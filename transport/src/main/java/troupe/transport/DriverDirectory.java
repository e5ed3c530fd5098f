package troupe.transport;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Comparator;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Stream;

/**
 * The folder of one Aeron driver. A locked file in it says that its process lives: the kernel takes
 * the lock away when a process dies, however it dies, while process ids are used again and mean
 * nothing across containers. Folders whose lock is free are removed when the next one is made;
 * killed processes leave about 50 MB each in memory otherwise.
 */
final class DriverDirectory implements AutoCloseable {
  private static final String PREFIX = "troupe-transport-";

  /**
   * Sorts before everything else in the folder, so that deleting in reverse order takes it last but
   * the folder.
   */
  private static final String LOCK_FILE = "LOCK";

  /**
   * Closing any channel of a file drops the process's lock on it, so this process never probes its
   * own.
   */
  private static final Set<Path> OWN = ConcurrentHashMap.newKeySet();

  private final Path folder;
  private final FileChannel channel;

  private DriverDirectory(Path folder, FileChannel channel) {
    this.folder = folder;
    this.channel = channel;
  }

  /** Where folders are made if nothing else is asked for: shared memory if there is some. */
  static Path defaultParent() {
    Path sharedMemory = Path.of("/dev/shm");
    return Files.isWritable(sharedMemory)
        ? sharedMemory
        : Path.of(System.getProperty("java.io.tmpdir"));
  }

  /**
   * Makes and locks a folder, after removing those that dead processes left in {@code parent}.
   *
   * @throws UncheckedIOException if the folder cannot be made
   */
  static DriverDirectory create(Path parent) {
    try {
      Files.createDirectories(parent);
      removeStale(parent);
      return claim(parent);
    } catch (IOException e) {
      throw new UncheckedIOException(
          """
          transport.directory: %s (expected: a folder that can be written): %s
          HINT: set transport.directory"""
              .formatted(parent, e),
          e);
    }
  }

  /** The driver's own folder, made by the driver. */
  Path aeron() {
    return folder.resolve("aeron");
  }

  /**
   * Deletes the folder and everything in it. Only when the transport ends, and not when the JVM
   * begins to: a node that is asked to go needs it to hand over what it has.
   */
  @Override
  public void close() {
    deleteTree(folder);
    try {
      channel.close();
    } catch (IOException e) {
      // Nothing was written through it, and the lock ends with the process at the latest.
    }
    OWN.remove(folder);
  }

  /**
   * Whether the process of another folder's driver has ended, so that nobody will ever answer
   * there. False if that cannot be told.
   *
   * @param aeron {@link #aeron} of that folder
   */
  static boolean isDead(Path aeron) {
    Path folder = aeron.getParent();
    return !OWN.contains(folder) && (Files.notExists(folder) || isStale(folder));
  }

  private static DriverDirectory claim(Path parent) throws IOException {
    String prefix = PREFIX + ProcessHandle.current().pid() + "-";
    Path folder = Files.createTempDirectory(parent, prefix).toRealPath();
    OWN.add(folder);
    // Locked before it has its name: others never find the name without the lock.
    Path unnamed = folder.resolve("unnamed");
    FileChannel channel =
        FileChannel.open(unnamed, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
    channel.lock();
    Files.move(unnamed, folder.resolve(LOCK_FILE));
    return new DriverDirectory(folder, channel);
  }

  private static void removeStale(Path parent) throws IOException {
    Path real = parent.toRealPath();
    try (DirectoryStream<Path> found = Files.newDirectoryStream(real, PREFIX + "*")) {
      for (Path folder : found) {
        if (!OWN.contains(folder) && isStale(folder)) {
          deleteTree(folder);
        }
      }
    }
  }

  private static boolean isStale(Path folder) {
    try (FileChannel probe = FileChannel.open(folder.resolve(LOCK_FILE), StandardOpenOption.WRITE);
        FileLock lock = probe.tryLock()) {
      return lock != null;
    } catch (IOException e) {
      // Another user's, or a folder whose lock is about to be made.
      return false;
    }
  }

  private static void deleteTree(Path root) {
    try (Stream<Path> tree = Files.walk(root)) {
      tree.sorted(Comparator.reverseOrder()).forEach(DriverDirectory::deleteQuietly);
    } catch (IOException | UncheckedIOException e) {
      // Its owner is deleting it as well.
    }
  }

  private static void deleteQuietly(Path path) {
    try {
      Files.deleteIfExists(path);
    } catch (IOException e) {
      // In use on this platform, or another user's: the next start tries again.
    }
  }
}
