package troupe.coordinator.cluster;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.InstantSource;
import java.util.Map;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import troupe.core.UserException;

/** Newcomers before a run that one node has begun. */
class JoiningTest {
  private static TestNode first;

  @BeforeAll
  static void begin() throws Exception {
    first = TestNode.start("cluster.name=node-1");
    assertTrue(first.joined().formed());
  }

  @AfterAll
  static void end() {
    first.close();
  }

  @Test
  void shouldTellNewcomersTheRunWhicheverNodeTheyKnockAt() throws Exception {
    long runId = first.joined().runId();
    assertNotEquals(0, runId);
    try (TestNode second = TestNode.start(seeds(first.address()))) {
      assertEquals(new Joining.Joined(runId, false), second.joined());
      try (TestNode third = TestNode.start(seeds(second.address()))) {
        assertEquals(new Joining.Joined(runId, false), third.joined());
        NodeSystem.leave(third.system());
        third.awaitEnd();
      }
      NodeSystem.leave(second.system());
      second.awaitEnd();
    }
  }

  @Test
  void shouldNameTheKeysThatDiffer() throws Exception {
    try (TestNode other =
        TestNode.start(seeds(first.address()), "seed=1", "train.ranks=4", "cluster.nodes=7")) {
      assertEquals(
          "refused by "
              + first.address()
              + ":\nseed: 1 (expected: 0)\ntrain.ranks: 4 (expected: 2)",
          other.failed().message());
      assertTrue(other.failed().hint().contains("same config"));
    }
  }

  @Test
  void shouldRefuseAnotherVersion() throws Exception {
    UnaryOperator<Identity> older =
        own -> new Identity("0.0.1", own.wire(), own.run(), Map.of("future.key", "1"), own.node());
    try (TestNode other = TestNode.start(older, InstantSource.system(), seeds(first.address()))) {
      assertRefused(other, "Troupe: version 0.0.1 (expected: " + Identity.ownVersion() + ")");
    }
  }

  @Test
  void shouldRefuseAnotherRun() throws Exception {
    try (TestNode other = TestNode.start(seeds(first.address()), "run.dir=elsewhere/another")) {
      assertRefused(other, "run.dir: run another (expected: cluster-test, which lives there)");
    }
  }

  @Test
  void shouldRefuseAClockThatIsWrong() throws Exception {
    InstantSource ahead = () -> InstantSource.system().instant().plusSeconds(95);
    try (TestNode other = TestNode.start(UnaryOperator.identity(), ahead, seeds(first.address()))) {
      assertTrue(
          other.failed().message().matches("(?s).*clock: 9[45] s ahead of the other nodes.*"));
    }
  }

  @Test
  void shouldRefuseANameThatIsThere() throws Exception {
    try (TestNode other = TestNode.start(seeds(first.address()), "cluster.name=node-1")) {
      assertRefused(other, "cluster.name: node-1 is there already (expected: a name of its own)");
    }
  }

  @Test
  void shouldNameThePortThatIsTaken() {
    String port = first.address().replaceFirst(".*:", "");
    UserException taken =
        assertThrows(UserException.class, () -> TestNode.start("cluster.port=" + port));
    assertEquals(
        "cluster.port: " + port + " is taken (expected: a free port of 127.0.0.1)",
        taken.getMessage());
  }

  @Test
  void shouldNameTheHostThatIsNotOfThisMachine() {
    // An address of the documentation's network: no machine has it.
    UserException foreign =
        assertThrows(UserException.class, () -> TestNode.start("cluster.host=192.0.2.1"));
    assertTrue(foreign.getMessage().startsWith("cluster.host: 192.0.2.1"), foreign.getMessage());
  }

  @Test
  void shouldSayThatNobodyListens() throws Exception {
    String nobody = "127.0.0.1:" + TestNode.freePort();
    try (TestNode lonely = TestNode.start(seeds(nobody), "cluster.join_timeout_seconds=3")) {
      lonely.awaitProgress(nobody + " nobody listens");
      assertEquals(
          "cluster.seeds: no node let this one in within 3.0 s: "
              + nobody
              + " nobody listens (expected: one that does)",
          lonely.failed().message());
    }
  }

  @Test
  void shouldSayThatAnAddressIsNotOfTroupe() throws Exception {
    try (ServerSocket server = new ServerSocket(0, 9, InetAddress.getLoopbackAddress())) {
      Thread.ofVirtual().start(() -> answerHttp(server));
      String address = "127.0.0.1:" + server.getLocalPort();
      try (TestNode other = TestNode.start(seeds(address))) {
        assertEquals(
            "cluster.seeds: "
                + address
                + " is not Troupe: it answers otherwise (expected: a node of this run)",
            other.failed().message());
      }
    }
  }

  @Test
  void shouldSayThatASeedIsWrittenDifferentlyFromItsNode() throws Exception {
    String written = first.address().replace("127.0.0.1", "localhost");
    try (TestNode other = TestNode.start(seeds(written), "cluster.join_timeout_seconds=3")) {
      assertTrue(
          other.failed().message().contains(written + " listens, but no node of that very name"));
      assertTrue(other.failed().hint().contains("exactly as"));
    }
  }

  @Test
  void shouldNotBeginASecondRunWhenTheFirstSeedIsRestarted() throws Exception {
    int port = TestNode.freePort();
    String seed = "127.0.0.1:" + port;
    int secondPort = TestNode.freePort();
    String both = "cluster.seeds=[\"" + seed + "\", \"127.0.0.1:" + secondPort + "\"]";
    String[] firstSeed = {both, "cluster.port=" + port, "cluster.name=a"};
    long runId;
    try (TestNode second = TestNode.start(both, "cluster.port=" + secondPort, "cluster.name=b")) {
      try (TestNode seedNode = TestNode.start(firstSeed)) {
        runId = seedNode.joined().runId();
        assertTrue(seedNode.joined().formed());
        assertEquals(new Joining.Joined(runId, false), second.joined());
      }
      try (TestNode restarted = TestNode.start(firstSeed)) {
        assertEquals(new Joining.Joined(runId, false), restarted.joined());
      }
    }
  }

  @Test
  void shouldWaitForTheFirstSeed() throws Exception {
    int port = TestNode.freePort();
    String seeds = "cluster.seeds=[\"127.0.0.1:" + port + "\"]";
    try (TestNode early = TestNode.start(seeds)) {
      early.awaitProgress("nobody listens");
      assertFalse(early.isDecided());
      try (TestNode seed = TestNode.start(seeds, "cluster.port=" + port)) {
        assertEquals(seed.joined().runId(), early.joined().runId());
      }
    }
  }

  private static void assertRefused(TestNode node, String why) throws Exception {
    assertEquals("refused by " + first.address() + ":\n" + why, node.failed().message());
  }

  private static String seeds(String address) {
    return "cluster.seeds=[\"" + address + "\"]";
  }

  private static void answerHttp(ServerSocket server) {
    while (!server.isClosed()) {
      try (Socket socket = server.accept()) {
        socket.getInputStream().read();
        socket.getOutputStream().write("HTTP/1.1 400 \r\n".getBytes(StandardCharsets.US_ASCII));
      } catch (IOException e) {
        // The client hung up, or the test is over.
      }
    }
  }
}
