package troupe.core.data;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import troupe.core.UserException;

/**
 * The sources that come with a JDK: all .java files of lib/src.zip, sorted by name, about 200 MB.
 */
final class JdkSources {
  private JdkSources() {}

  /**
   * The zip file of the JDK at this home.
   *
   * @throws UserException if that has none, as run-time images and many distributions' packages do
   */
  static Path zipOf(Path javaHome) {
    Path zip = javaHome.resolve("lib").resolve("src.zip");
    if (!Files.isRegularFile(zip)) {
      throw new UserException(
          "data.source: jdk-sources, but there is no "
              + zip
              + " (expected: a JDK with its sources)",
          "run with a full JDK such as Temurin (JAVA_HOME), install your distribution's"
              + " openjdk source package, or set data.source=dictionary");
    }
    return zip;
  }

  /** Writes all sources of a zip file one after the other. */
  static void unpack(Path zip, OutputStream out) throws IOException {
    try (ZipFile file = new ZipFile(zip.toFile())) {
      List<? extends ZipEntry> entries =
          file.stream()
              .filter(entry -> entry.getName().endsWith(".java"))
              .sorted(Comparator.comparing(ZipEntry::getName))
              .toList();
      for (ZipEntry entry : entries) {
        try (InputStream in = file.getInputStream(entry)) {
          in.transferTo(out);
        }
      }
    }
  }
}
