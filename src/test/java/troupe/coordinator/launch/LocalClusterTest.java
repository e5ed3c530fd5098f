package troupe.coordinator.launch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import troupe.Eventually;

/** Real child JVMs. */
@Timeout(120)
final class LocalClusterTest {
  private static final Duration SOON = Duration.ofSeconds(30);

  @TempDir private Path folder;
  private Path config;
  private final Map<String, Exit> exits = new ConcurrentHashMap<>();
  private final StringBuffer output = new StringBuffer();

  @BeforeEach
  void writeConfig() throws IOException {
    config = Files.writeString(folder.resolve("tiny.conf"), "seed = 1");
  }

  private LaunchPlan plan(int nodes, String... overrides) {
    return LaunchPlan.of(config, List.of(overrides), nodes);
  }

  private LocalCluster start(int nodes, String... flags) {
    LocalCluster cluster =
        new LocalCluster(
            FakeNode.command(flags),
            plan(nodes),
            new ClusterListener() {
              @Override
              public void line(ChildNode node, boolean isError, String line) {
                // In one piece: two threads say what one node prints.
                output.append(node.name() + (isError ? "! " : ": ") + line + '\n');
              }

              @Override
              public void ended(ChildNode node, Exit exit) {
                exits.put(node.name(), exit);
              }
            });
    cluster.start();
    return cluster;
  }

  private void awaitLine(String line) {
    Eventually.await(output, () -> output.indexOf(line) >= 0);
  }

  @Test
  void shouldHearAllOfANodeBeforeItsEnd() throws Exception {
    try (LocalCluster cluster = start(1, "-Dnode-1=print:one;error:two;print:three;exit:0")) {
      assertTrue(cluster.node(1).awaitExit(SOON));
      assertEquals(Exit.DONE, cluster.outcome());
    }
    assertTrue(output.indexOf("node-1: one\n") >= 0, output::toString);
    assertTrue(output.indexOf("node-1! two\n") >= 0, output::toString);
    assertTrue(output.indexOf("node-1: three\n") >= 0, output::toString);
  }

  @Test
  void shouldGoOnAndCompleteWhenANodeIsKilled() throws Exception {
    Path done = folder.resolve("done");
    String finish = "print:up;file:" + done + ";exit:0";
    try (LocalCluster cluster = start(2, "-Dnode-1=" + finish, "-Dnode-2=stay")) {
      awaitLine("node-1: up");
      awaitLine("node-2: staying");
      cluster.node(2).kill();
      assertTrue(cluster.node(2).awaitExit(SOON));
      assertEquals(new Exit(137), exits.get("node-2"));
      assertEquals("was killed (SIGKILL)", exits.get("node-2").toString());
      assertEquals(List.of(cluster.node(1)), cluster.alive());
      Files.createFile(done);
      assertTrue(cluster.awaitEnd(SOON));
      assertEquals(Exit.DONE, cluster.outcome());
    }
  }

  @Test
  void shouldFailWhenTheLastToSpeakFailed() throws Exception {
    Path left = folder.resolve("left");
    try (LocalCluster cluster = start(2, "-Dnode-1=exit:0", "-Dnode-2=file:" + left + ";exit:1")) {
      assertTrue(cluster.node(1).awaitExit(SOON));
      Files.createFile(left);
      assertTrue(cluster.awaitEnd(SOON));
      assertEquals(Exit.FAILED, cluster.outcome());
    }
  }

  @Test
  void shouldFailWhenNobodyIsLeftToSpeak() throws Exception {
    try (LocalCluster cluster = start(2, "-Dnode-1=exit:3", "-Dnode-2=exit:137")) {
      assertTrue(cluster.awaitEnd(SOON));
      assertEquals(Exit.FAILED, cluster.outcome());
    }
  }

  @Test
  void shouldHaltANodeAndLetItGoOn() throws Exception {
    try (LocalCluster cluster = start(1)) {
      awaitLine("staying");
      ChildNode node = cluster.node(1);
      node.pause();
      Eventually.await("halted", () -> state(node) == 'T');
      assertTrue(node.isAlive());
      node.pause();
      node.resume();
      Eventually.await("running", () -> state(node) != 'T');
      node.resume();
      node.terminate();
      assertTrue(node.awaitExit(SOON));
      assertEquals(new Exit(Exit.STOPPED), exits.get("node-1"));
    }
  }

  @Test
  void shouldEndANodeThatIsPaused() throws Exception {
    try (LocalCluster cluster = start(2)) {
      Eventually.await(output, () -> output.toString().split("staying", -1).length == 3);
      cluster.node(1).pause();
      cluster.node(2).pause();
      cluster.node(1).kill();
      cluster.node(2).terminate();
      assertTrue(cluster.awaitEnd(SOON));
      assertEquals(Map.of("node-1", new Exit(137), "node-2", new Exit(130)), exits);
    }
  }

  @Test
  void shouldRefuseToPauseTheDead() throws Exception {
    try (LocalCluster cluster = start(1, "-Dnode-1=exit:0")) {
      assertTrue(cluster.node(1).awaitExit(SOON));
      assertThrows(IllegalStateException.class, () -> cluster.node(1).pause());
    }
  }

  @Test
  void shouldStartANodeAgainUnderItsNameWithItsOwnFlags() throws Exception {
    try (LocalCluster cluster = start(2, "-Dnode-2=exit:1")) {
      ChildNode first = cluster.node(2);
      assertTrue(first.awaitExit(SOON));
      cluster.restart(2, List.of("-Dnode-2=print:again;exit:0"), List.of());
      awaitLine("node-2: again");
      assertNotEquals(first.pid(), cluster.node(2).pid());
      assertTrue(cluster.node(2).awaitExit(SOON));
      assertThrows(IllegalStateException.class, () -> cluster.restart(1, List.of(), List.of()));
      cluster.stop();
      assertThrows(IllegalStateException.class, () -> cluster.restart(2, List.of(), List.of()));
    }
  }

  @Test
  void shouldBeStoppedWhenAskedEvenByNodesThatHadNoTimeToAnswer() throws Exception {
    try (LocalCluster cluster = start(3)) {
      cluster.stop();
      assertTrue(cluster.awaitEnd(SOON));
      assertEquals(Exit.STOPPED, cluster.outcome());
    }
  }

  @Test
  void shouldKillThoseThatDoNotStop() throws Exception {
    try (LocalCluster cluster = start(1, "-Dnode-1=deaf")) {
      awaitLine("staying");
      cluster.stop();
      assertFalse(cluster.awaitEnd(Duration.ofMillis(300)));
      cluster.kill();
      assertTrue(cluster.awaitEnd(SOON));
      assertEquals(new Exit(137), exits.get("node-1"));
    }
  }

  @Test
  void shouldNotHearTheTerminalsCtrlC() throws Exception {
    try (LocalCluster cluster = start(1, "-Dnode-1=stay")) {
      awaitLine("staying");
      ChildNode node = cluster.node(1);
      for (String signal : List.of("-INT", "-HUP")) {
        assertEquals(0, run("kill", signal, Long.toString(node.pid())));
      }
      // It answers this one, so it had its chance to answer those before.
      assertEquals(0, run("kill", "-QUIT", Long.toString(node.pid())));
      awaitLine("Full thread dump");
      assertTrue(node.isAlive());
      node.terminate();
      assertTrue(node.awaitExit(SOON));
      assertEquals(new Exit(Exit.STOPPED), exits.get("node-1"));
    }
  }

  /** The state of a process as Linux has it: R, S, T = stopped. */
  private static char state(ChildNode node) {
    try {
      String stat = Files.readString(Path.of("/proc", Long.toString(node.pid()), "stat"));
      return stat.charAt(stat.lastIndexOf(')') + 2);
    } catch (IOException e) {
      return '-';
    }
  }

  private static int run(String... command) throws Exception {
    Process process = new ProcessBuilder(command).start();
    assertTrue(process.waitFor(10, TimeUnit.SECONDS));
    return process.exitValue();
  }
}
