package troupe.coordinator.cluster;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import troupe.core.UserException;

class TlsTest {
  @TempDir private static Path folder;
  private static Path ours;
  private static Path foreign;

  @BeforeAll
  static void certify() throws Exception {
    ours = Certificates.make(folder, "ours");
    foreign = Certificates.make(folder, "foreign");
  }

  @Test
  void shouldLetInOnlyWhoHasACertificateOfTheSameCa() throws Exception {
    try (TestNode first = TestNode.start(tls(ours))) {
      first.joined();
      String seeds = "cluster.seeds=[\"" + first.address() + "\"]";
      try (TestNode stranger = TestNode.start(seeds, tls(foreign))) {
        assertStranger(stranger, first, " has a certificate of another CA");
      }
      try (TestNode plain = TestNode.start(seeds)) {
        assertStranger(plain, first, " speaks TLS, this node does not (cluster.tls_directory)");
      }
      assertEquals(
          "stops",
          new DoorClient(TestNode.config(tls(ours)))
              .ask(List.of(first.address()), new Door.Stop(), Duration.ofSeconds(10))
              .what());
      UserException outside =
          assertThrows(
              UserException.class,
              () ->
                  new DoorClient(TestNode.config(tls(foreign)))
                      .ask(List.of(first.address()), new Door.Stop(), Duration.ofSeconds(10)));
      assertTrue(outside.getMessage().contains("another CA"), outside.getMessage());
      try (TestNode second = TestNode.start(seeds, tls(ours))) {
        assertEquals(first.joined().runId(), second.joined().runId());
      }
    }
  }

  @Test
  void shouldSayThatASeedDoesNotSpeakTls() throws Exception {
    try (TestNode first = TestNode.start()) {
      first.joined();
      String seeds = "cluster.seeds=[\"" + first.address() + "\"]";
      try (TestNode secure = TestNode.start(seeds, tls(ours))) {
        assertStranger(secure, first, " does not speak TLS");
      }
    }
  }

  @Test
  void shouldNameTheFileThatIsWrong() throws Exception {
    assertMistake("node.crt is not signed by ca.crt", mixed("ca", "ca.crt"));
    assertMistake("node.key is the key of another certificate", mixed("key", "node.key"));
    Path missing = mixed("missing", "ca.crt");
    Files.delete(missing.resolve("ca.crt"));
    assertMistake("ca.crt is missing (expected: a PEM file)", missing);
    Path garbage = mixed("garbage", "node.crt");
    Files.writeString(garbage.resolve("node.crt"), "-----BEGIN CERTIFICATE-----\nabc\n");
    assertMistake("node.crt is no certificate", garbage);
    Path noKey = mixed("no-key", "node.key");
    Files.writeString(noKey.resolve("node.key"), "not a key");
    assertMistake("node.key is no such key", noKey);
  }

  private static void assertStranger(TestNode node, TestNode seed, String why) throws Exception {
    String message = node.failed().message();
    assertTrue(message.startsWith("cluster.seeds: " + seed.address() + why), message);
  }

  private static void assertMistake(String expected, Path directory) {
    UserException mistake = assertThrows(UserException.class, () -> Tls.read(directory.toString()));
    assertTrue(mistake.getMessage().contains(expected), mistake.getMessage());
    assertTrue(mistake.hint().contains("make-test-certificates"));
  }

  /** Our folder, but for one file, which is the foreign CA's. */
  private static Path mixed(String name, String exchanged) throws IOException {
    Path directory = Files.createDirectory(folder.resolve(name));
    for (String file : List.of("ca.crt", "node.crt", "node.key")) {
      Files.copy((file.equals(exchanged) ? foreign : ours).resolve(file), directory.resolve(file));
    }
    return directory;
  }

  private static String tls(Path directory) {
    return "cluster.tls_directory=" + directory;
  }
}
