package troupe.core.data;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileVisitOption;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.nio.file.PathMatcher;
import java.util.List;
import java.util.function.Predicate;
import java.util.regex.PatternSyntaxException;
import java.util.stream.Stream;
import troupe.core.UserException;

/** The files that {@code data.path} means, in the order in which they make up one text. */
final class TextFiles {
  private static final String GLOB_CHARACTERS = "*?[{";

  /**
   * Every file is one mapping, and Linux allows a process 65 530 of them by default
   * (vm.max_map_count).
   */
  private static final int MAX_FILES = 30_000;

  private static final String HINT =
      "set data.path to a file, a folder or a glob such as data.path=\"texts/**.txt\"";

  private TextFiles() {}

  /**
   * The files, sorted by path.
   *
   * @param path a file, a folder (all files below it but hidden ones) or a glob
   * @throws UserException if that is no readable file
   */
  static List<Path> find(String path) {
    if (path.isBlank()) {
      throw new UserException("data.path: \"\" (expected: a file, a folder or a glob)", HINT);
    }
    List<Path> files;
    try {
      files = list(path);
    } catch (InvalidPathException | PatternSyntaxException e) {
      throw new UserException(
          "data.path: " + path + " (expected: a file, a folder or a glob): " + e.getMessage(),
          HINT,
          e);
    } catch (IOException | UncheckedIOException e) {
      throw new UserException(
          "data.path: " + path + " cannot be listed: " + e.getMessage(),
          "make the folder readable and free of link loops, or name its files by a glob",
          e);
    }
    if (files.size() > MAX_FILES) {
      throw new UserException(
          "data.path: "
              + path
              + " holds "
              + files.size()
              + " files (expected: <= "
              + MAX_FILES
              + ")",
          "join them into fewer files, for example with cat or tar");
    }
    for (Path file : files) {
      if (!Files.isReadable(file)) {
        throw new UserException(
            "data.path: " + file + " is not readable",
            "chmod +r " + file + ", or choose other files");
      }
    }
    return files;
  }

  private static List<Path> list(String path) throws IOException {
    // A file may be called a[1].txt: what is there goes before what could be a pattern.
    if (existsLiterally(path)) {
      Path file = Path.of(path);
      if (Files.isDirectory(file)) {
        return nonEmpty(walk(file, Integer.MAX_VALUE, found -> !isHidden(found)), path);
      }
      if (!Files.isRegularFile(file)) {
        throw new UserException("data.path: " + path + " is no regular file", HINT);
      }
      return List.of(file);
    }
    int glob = firstGlobCharacter(path);
    if (glob < 0) {
      throw new UserException(
          "data.path: " + path + " (expected: an existing file or folder)", HINT);
    }
    int slash = path.lastIndexOf('/', glob);
    Path folder = Path.of(slash < 0 ? "." : path.substring(0, slash + 1));
    String pattern = path.substring(slash + 1);
    // Java's "**/" wants at least one folder; in every shell it may also mean none.
    String below = pattern.startsWith("**/") ? pattern.substring(3) : pattern;
    PathMatcher here = folder.getFileSystem().getPathMatcher("glob:" + below);
    PathMatcher anywhere = folder.getFileSystem().getPathMatcher("glob:" + pattern);
    int depth = pattern.contains("**") ? Integer.MAX_VALUE : 1 + countSlashes(pattern);
    if (!Files.isDirectory(folder)) {
      throw new UserException(
          "data.path: " + path + ": no folder " + folder + " (expected: an existing folder)", HINT);
    }
    return nonEmpty(
        walk(folder, depth, found -> here.matches(found) || anywhere.matches(found)), path);
  }

  private static boolean existsLiterally(String path) {
    try {
      return Files.exists(Path.of(path));
    } catch (InvalidPathException e) {
      // Some systems do not allow glob characters in names.
      if (firstGlobCharacter(path) < 0) {
        throw e;
      }
      return false;
    }
  }

  /** The regular files down to a depth whose path below the folder is wanted. */
  private static List<Path> walk(Path folder, int depth, Predicate<Path> wanted)
      throws IOException {
    try (Stream<Path> paths = Files.walk(folder, depth, FileVisitOption.FOLLOW_LINKS)) {
      return paths
          .filter(path -> wanted.test(folder.relativize(path)))
          .filter(Files::isRegularFile)
          .sorted()
          .toList();
    }
  }

  private static int countSlashes(String pattern) {
    return (int) pattern.chars().filter(c -> c == '/').count();
  }

  private static boolean isHidden(Path relative) {
    for (Path name : relative) {
      if (name.toString().startsWith(".")) {
        return true;
      }
    }
    return false;
  }

  private static List<Path> nonEmpty(List<Path> files, String path) {
    if (files.isEmpty()) {
      throw new UserException(
          "data.path: " + path + " holds no files (expected: at least one)", HINT);
    }
    return files;
  }

  private static int firstGlobCharacter(String path) {
    for (int i = 0; i < path.length(); i++) {
      if (GLOB_CHARACTERS.indexOf(path.charAt(i)) >= 0) {
        return i;
      }
    }
    return -1;
  }
}
