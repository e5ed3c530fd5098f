package troupe.core.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import troupe.core.UserException;

class RunLockTest {
  @TempDir private Path folder;

  @Test
  void shouldRefuseASecondTimeInThisProcessAndKeepTheFirst() throws Exception {
    Path run = folder.resolve("runs/one");
    try (RunLock _ = RunLock.acquire(run)) {
      for (int i = 0; i < 2; i++) {
        UserException e = assertThrows(UserException.class, () -> RunLock.acquire(run));
        assertTrue(
            e.getMessage().contains("process " + ProcessHandle.current().pid()), e.getMessage());
      }
      // Had the refusals dropped the first lock, another process would get it now.
      assertEquals("refused", new Holder(run).firstLine());
    }
    RunLock.acquire(run).close();
  }

  @Test
  void shouldNameTheOtherProcessAndOutliveItsDeath() throws Exception {
    try (Holder holder = new Holder(folder)) {
      assertEquals("held", holder.firstLine());
      UserException e = assertThrows(UserException.class, () -> RunLock.acquire(folder));
      assertTrue(e.getMessage().contains("process " + holder.pid()), e.getMessage());
      assertTrue(e.hint().contains("process " + holder.pid()), e.hint());
    }
    RunLock.acquire(folder).close();
  }

  @Test
  void shouldSayWhichFolderCannotBeUsed() throws IOException {
    Path file = Files.writeString(folder.resolve("file"), "in the way");
    UserException e = assertThrows(UserException.class, () -> RunLock.acquire(file.resolve("run")));
    assertTrue(e.getMessage().startsWith("run.dir: " + file), e.getMessage());
  }

  /** Another JVM that takes the lock and keeps it until it is killed. */
  private static final class Holder implements AutoCloseable {
    private final Process process;
    private final BufferedReader output;

    Holder(Path run) throws IOException {
      String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
      List<String> command =
          List.of(
              java,
              "-Xshare:auto",
              "-XX:TieredStopAtLevel=1",
              "-cp",
              System.getProperty("java.class.path"),
              RunLockHolder.class.getName(),
              run.toString());
      process = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD).start();
      output = process.inputReader(StandardCharsets.UTF_8);
    }

    String firstLine() throws IOException {
      return output.readLine();
    }

    long pid() {
      return process.pid();
    }

    @Override
    public void close() {
      process.destroyForcibly().onExit().orTimeout(30, TimeUnit.SECONDS).join();
    }
  }
}
