package troupe.coordinator.launch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import troupe.core.UserException;
import troupe.core.config.ConfigLoader;
import troupe.core.config.RunConfig;

final class LaunchPlanTest {
  @TempDir private Path folder;
  private Path config;

  @BeforeEach
  void writeConfig() throws IOException {
    config = Files.writeString(folder.resolve("tiny.conf"), "seed = 1");
  }

  private LaunchPlan plan(int nodes, String... overrides) {
    return LaunchPlan.of(config, List.of(overrides), nodes);
  }

  private RunConfig asRead(LaunchPlan plan, int number) {
    List<String> arguments = plan.arguments(number, List.of());
    assertEquals("node", arguments.getFirst());
    assertEquals(config.toString(), arguments.get(1));
    assertEquals(ParentWatch.OPTION, arguments.get(2));
    return ConfigLoader.load(config, arguments.subList(3, arguments.size()));
  }

  @Test
  void shouldTellNodesApartAndLetThemFindEachOther() {
    LaunchPlan plan = plan(3, "train.steps=7");
    assertEquals(3, new HashSet<>(plan.ports()).size());
    List<String> seeds = plan.ports().stream().map(port -> "127.0.0.1:" + port).toList();
    for (int number = 1; number <= 3; number++) {
      RunConfig.Cluster cluster = asRead(plan, number).cluster();
      assertEquals("node-" + number, cluster.name());
      assertEquals(plan.ports().get(number - 1), cluster.port());
      assertEquals(seeds, cluster.seeds());
      assertEquals(3, cluster.nodes());
      assertEquals(Math.max(1, Runtime.getRuntime().availableProcessors() / 3), cluster.threads());
      assertEquals(7, asRead(plan, number).train().steps());
    }
  }

  @Test
  void shouldLeaveToTheUserWhatTheUserSays() {
    RunConfig.Cluster cluster =
        asRead(plan(3, "cluster.threads=5", "cluster.nodes=2"), 1).cluster();
    assertEquals(5, cluster.threads());
    assertEquals(2, cluster.nodes());
  }

  @Test
  void shouldTakePortsInARowWhenTheFirstIsNamed() {
    int first = Ports.free("127.0.0.1", 1).getFirst();
    assertEquals(List.of(first), plan(1, "cluster.port=" + first).ports());
    UserException e = assertThrows(UserException.class, () -> plan(3, "cluster.port=65534"));
    assertEquals(
        "cluster.port: 65534 (expected: from 1 to 65533, for 3 nodes take a port each from there"
            + " on)",
        e.getMessage());
  }

  @Test
  void shouldNotTakePortsOfOthers() throws IOException {
    try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getByName("127.0.0.1"))) {
      UserException e =
          assertThrows(UserException.class, () -> plan(1, "cluster.port=" + taken.getLocalPort()));
      assertTrue(e.getMessage().contains("port " + taken.getLocalPort() + " "), e.getMessage());
    }
    Random same = new Random(3);
    int port = Ports.free("127.0.0.1", 1, new Random(3)).getFirst();
    try (ServerSocket taken = new ServerSocket(port, 1, InetAddress.getByName("127.0.0.1"))) {
      assertTrue(taken.isBound());
      assertFalse(Ports.free("127.0.0.1", 1, same).contains(port));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"cluster.name=a", "cluster.seeds=[]", "cluster.data_port=4000"})
  void shouldRefuseWhatWouldMakeAllNodesTheSame(String override) {
    UserException e = assertThrows(UserException.class, () -> plan(2, override));
    assertTrue(e.getMessage().startsWith(override.split("=")[0] + ": "), e.getMessage());
  }

  @Test
  void shouldRefuseNoNodes() {
    assertEquals(
        "--nodes: 0 (expected: >= 1)",
        assertThrows(UserException.class, () -> plan(0)).getMessage());
  }

  @Test
  void shouldSayHowMuchMemoryIsMissing() {
    LaunchChecks.checkMemory(3, 1200L << 20);
    UserException e =
        assertThrows(UserException.class, () -> LaunchChecks.checkMemory(3, (1200L << 20) - 1));
    assertEquals("free memory: 1199 MiB (expected: >= 1200 MiB for 3 nodes)", e.getMessage());
    assertTrue(e.hint().startsWith("--nodes 2"), e.hint());
  }

  @Test
  void shouldSayHowMuchSharedMemoryIsMissing() {
    LaunchPlan plan = plan(3);
    long needed = 3 * ((16L << 20) + 2 * 3 * (16L << 20));
    assertEquals(needed, LaunchChecks.sharedBytes(plan.run(), 3));
    assertEquals(0, LaunchChecks.sharedBytes(plan.run(), 1));
    LaunchChecks.checkShared(plan, folder, needed);
    UserException e =
        assertThrows(UserException.class, () -> LaunchChecks.checkShared(plan, folder, needed - 1));
    assertTrue(e.getMessage().startsWith("free bytes in " + folder), e.getMessage());
    assertTrue(e.hint().startsWith("transport.term_bytes=4194304"), e.hint());
  }
}
