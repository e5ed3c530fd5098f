package troupe.coordinator.launch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.PipedInputStream;
import java.io.PipedOutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import troupe.Eventually;

/** No node outlives its launcher, however that died. */
@Timeout(120)
final class OrphansTest {
  @TempDir private Path folder;

  @Test
  void shouldHearTheEndOfTheInputOnce() throws Exception {
    CountDownLatch gone = new CountDownLatch(1);
    try (PipedOutputStream parent = new PipedOutputStream()) {
      ParentWatch.start(new PipedInputStream(parent), gone::countDown);
      parent.write(new byte[200]);
      assertEquals(1, gone.getCount());
    }
    assertTrue(gone.await(20, TimeUnit.SECONDS));
  }

  @Test
  void shouldEndNodesThatAreRunningOrPausedWhenTheirLauncherIsKilled() throws Exception {
    Path config = Files.writeString(folder.resolve("tiny.conf"), "seed = 1");
    JavaCommand launcher =
        JavaCommand.ofThisJvm(DoomedLauncher.class.getName())
            .with(List.of("-Xmx128m", "-XX:TieredStopAtLevel=1"));
    Process process =
        new ProcessBuilder(launcher.words(List.of(config.toString())))
            .redirectError(ProcessBuilder.Redirect.DISCARD)
            .start();
    try (BufferedReader lines = process.inputReader(StandardCharsets.UTF_8)) {
      ProcessHandle running = handle(lines.readLine());
      ProcessHandle paused = handle(lines.readLine());
      assertEquals("paused", lines.readLine());
      assertTrue(running.isAlive() && paused.isAlive());
      process.destroyForcibly().waitFor();
      Eventually.await("both gone", () -> isGone(running) && isGone(paused));
    } finally {
      process.destroyForcibly();
    }
  }

  private static ProcessHandle handle(String pid) {
    return ProcessHandle.of(Long.parseLong(pid)).orElseThrow();
  }

  /** Where nobody waits for orphans they stay as zombies of the kernel, which run no more. */
  private static boolean isGone(ProcessHandle process) {
    try {
      String stat = Files.readString(Path.of("/proc", Long.toString(process.pid()), "stat"));
      return stat.charAt(stat.lastIndexOf(')') + 2) == 'Z';
    } catch (IOException e) {
      return true;
    }
  }

  /** Starts two nodes, pauses the second, says so and waits to be killed. */
  static final class DoomedLauncher {
    private DoomedLauncher() {}

    public static void main(String[] arguments) throws Exception {
      CountDownLatch up = new CountDownLatch(2);
      LocalCluster cluster =
          new LocalCluster(
              FakeNode.command(),
              LaunchPlan.of(Path.of(arguments[0]), List.of(), 2),
              new ClusterListener() {
                @Override
                public void line(ChildNode node, boolean isError, String line) {
                  up.countDown();
                }

                @Override
                public void ended(ChildNode node, Exit exit) {}
              });
      cluster.start();
      up.await();
      cluster.node(2).pause();
      assertNotEquals(cluster.node(1).pid(), cluster.node(2).pid());
      System.out.println(cluster.node(1).pid());
      System.out.println(cluster.node(2).pid());
      System.out.println("paused");
      new CountDownLatch(1).await(2, TimeUnit.MINUTES);
    }
  }
}
