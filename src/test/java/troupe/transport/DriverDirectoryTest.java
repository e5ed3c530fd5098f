package troupe.transport;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DriverDirectoryTest {
  @TempDir Path parent;

  @Test
  void shouldDeleteTheFolderWhenClosed() throws IOException {
    DriverDirectory directory = DriverDirectory.create(parent);
    Files.createDirectories(directory.aeron().resolve("publications"));
    Files.writeString(directory.aeron().resolve("publications/1.logbuffer"), "x");
    directory.close();
    assertEquals(List.of(), folders());
  }

  @Test
  void shouldLeaveTheFoldersOfTheLivingAlone() throws IOException {
    DriverDirectory first = DriverDirectory.create(parent);
    DriverDirectory second = DriverDirectory.create(parent);
    DriverDirectory third = DriverDirectory.create(parent);
    assertEquals(3, folders().size());
    first.close();
    second.close();
    third.close();
    assertEquals(0, folders().size());
  }

  @Test
  void shouldRemoveTheFolderOfAKilledProcessButNotOfALivingOne() throws Exception {
    Process killed = startOwner();
    Process living = startOwner();
    try {
      DriverDirectory.create(parent).close();
      assertEquals(2, folders().size(), "both alive");
      killed.destroyForcibly().waitFor();
      assertEquals(2, folders().size(), "kill -9 leaves its folder");
      DriverDirectory.create(parent).close();
      assertEquals(1, folders().size());
    } finally {
      killed.destroyForcibly();
      living.destroyForcibly();
    }
  }

  /** A node that is asked to go has to hand over what it has first. */
  @Test
  void shouldKeepTheFolderWhenTheJvmIsToldToEnd() throws Exception {
    Process terminated = startOwner();
    terminated.destroy();
    terminated.waitFor();
    assertEquals(1, folders().size(), "only close deletes it");
    DriverDirectory.create(parent).close();
    assertEquals(List.of(), folders());
  }

  @Test
  void shouldNameTheKeyWhenTheFolderCannotBeMade() throws IOException {
    Path file = Files.writeString(parent.resolve("file"), "");
    UncheckedIOException e =
        assertThrows(UncheckedIOException.class, () -> DriverDirectory.create(file));
    assertTrue(e.getMessage().startsWith("transport.directory: " + file), e.getMessage());
    assertTrue(e.getMessage().contains("HINT: set transport.directory"), e.getMessage());
    assertFalse(Files.isDirectory(file));
  }

  private List<Path> folders() throws IOException {
    try (Stream<Path> found = Files.list(parent)) {
      return found.toList();
    }
  }

  /** Another JVM that owns a folder and waits. */
  private Process startOwner() throws IOException {
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xshare:auto",
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path"),
                Owner.class.getName(),
                parent.toString())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    BufferedReader out = process.inputReader();
    assertEquals("ready", out.readLine());
    return process;
  }

  /** The main class of that JVM. */
  static final class Owner {
    private Owner() {}

    public static void main(String[] args) throws InterruptedException {
      DriverDirectory.create(Path.of(args[0]));
      System.out.println("ready");
      Thread.sleep(60_000); // killed long before
    }
  }
}
