package troupe.core.checkpoint;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A directory of one step's checkpoint, and what its name says about it.
 *
 * <pre>
 * step-00000100            published: all files were on the disk before it got this name
 * step-00000100.tmp-4711   being written or deleted by process 4711, or left by it
 * step-00000100.old-4711   published before, moved aside by process 4711, which publishes it again
 * </pre>
 */
record StepDirectory(Path path, long step, State state, long pid) {
  private static final Pattern NAME =
      Pattern.compile("step-(\\d{8,18})(?:\\.(tmp|old)-(\\d{1,18}))?");

  /** What the name of a directory says. */
  enum State {
    PUBLISHED,
    TEMPORARY,
    MOVED_ASIDE
  }

  static Path published(Path checkpoints, long step) {
    return checkpoints.resolve(String.format("step-%08d", step));
  }

  static Path temporary(Path checkpoints, long step, long pid) {
    return checkpoints.resolve(String.format("step-%08d.tmp-%d", step, pid));
  }

  static Path movedAside(Path checkpoints, long step, long pid) {
    return checkpoints.resolve(String.format("step-%08d.old-%d", step, pid));
  }

  /** All step directories by step; other names are none of ours. A missing folder holds none. */
  static List<StepDirectory> list(Path checkpoints) throws IOException {
    List<StepDirectory> found = new ArrayList<>();
    try (DirectoryStream<Path> paths = Files.newDirectoryStream(checkpoints, Files::isDirectory)) {
      for (Path path : paths) {
        Matcher name = NAME.matcher(path.getFileName().toString());
        if (name.matches()) {
          State state =
              name.group(2) == null
                  ? State.PUBLISHED
                  : name.group(2).equals("tmp") ? State.TEMPORARY : State.MOVED_ASIDE;
          long pid = name.group(3) == null ? 0 : Long.parseLong(name.group(3));
          found.add(new StepDirectory(path, Long.parseLong(name.group(1)), state, pid));
        }
      }
    } catch (NoSuchFileException e) {
      return List.of();
    }
    found.sort(Comparator.comparingLong(StepDirectory::step).thenComparing(StepDirectory::state));
    return found;
  }

  /**
   * One directory a step, oldest first; one moved aside stands in where a crash kept its successor
   * from appearing.
   */
  static List<StepDirectory> published(Path checkpoints) throws IOException {
    Map<Long, StepDirectory> bySteps = new TreeMap<>();
    for (StepDirectory directory : list(checkpoints)) {
      if (directory.state != State.TEMPORARY) {
        bySteps.putIfAbsent(directory.step, directory);
      }
    }
    return List.copyOf(bySteps.values());
  }

  /**
   * Whether no running process works on this temporary or moved directory. A number like our own is
   * a reused one.
   */
  boolean isStale() {
    return state != State.PUBLISHED
        && (pid == ProcessHandle.current().pid()
            || ProcessHandle.of(pid).filter(ProcessHandle::isAlive).isEmpty());
  }

  /**
   * Deletes this directory; it loses its published name first, so that a crash leaves no half of a
   * checkpoint.
   */
  void delete() throws IOException {
    Path doomed = path;
    if (state != State.TEMPORARY) {
      doomed = temporary(path.getParent(), step, ProcessHandle.current().pid());
      deleteTree(doomed);
      Files.move(path, doomed, StandardCopyOption.ATOMIC_MOVE);
    }
    deleteTree(doomed);
  }

  /** Deletes a directory of plain files; nothing happens if it is not there. */
  static void deleteTree(Path directory) throws IOException {
    try (DirectoryStream<Path> files = Files.newDirectoryStream(directory)) {
      for (Path file : files) {
        Files.delete(file);
      }
    } catch (NoSuchFileException e) {
      return;
    }
    Files.delete(directory);
  }

  /** Returns once the names in a directory are on the disk. */
  static void sync(Path directory) throws IOException {
    try (FileChannel channel = FileChannel.open(directory, StandardOpenOption.READ)) {
      channel.force(true);
    }
  }
}
