package troupe.coordinator.cluster;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** What scripts/make-test-certificates makes. */
final class Certificates {
  private Certificates() {}

  /** Makes a folder {@code name} with a CA of its own. */
  static Path make(Path parent, String name) throws IOException, InterruptedException {
    Path directory = parent.resolve(name);
    Process process =
        new ProcessBuilder(List.of("bash", script().toString(), directory.toString()))
            .redirectErrorStream(true)
            .start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (process.waitFor() != 0) {
      throw new IOException("make-test-certificates: " + said);
    }
    return directory;
  }

  private static Path script() {
    Path folder = Path.of("").toAbsolutePath();
    while (!Files.exists(folder.resolve("scripts/make-test-certificates"))) {
      folder = folder.getParent();
    }
    return folder.resolve("scripts/make-test-certificates");
  }
}
