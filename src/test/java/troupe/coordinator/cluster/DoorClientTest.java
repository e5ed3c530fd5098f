package troupe.coordinator.cluster;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import troupe.core.UserException;

class DoorClientTest {
  private static final Duration PATIENCE = Duration.ofSeconds(10);
  private static TestNode node;

  @BeforeAll
  static void begin() throws Exception {
    node = TestNode.start();
    node.joined();
  }

  @AfterAll
  static void end() {
    node.close();
  }

  @Test
  void shouldAskTheNextNodeWhereOneIsGone() {
    String gone = "127.0.0.1:" + TestNode.freePort();
    assertEquals(
        "1/2 to node-3",
        client()
            .ask(List.of(gone, node.address()), new Door.MoveExpert(1, 2, "node-3"), PATIENCE)
            .what());
  }

  @Test
  void shouldPassOnWhatTheRunRefuses() {
    assertMistake(
        "--to: nowhere (expected: a node)",
        client(),
        new Door.MoveExpert(0, 0, "nowhere"),
        node.address());
  }

  @Test
  void shouldNotTouchAnotherRunThatLivesThereNow() {
    assertMistake(
        "run: another (expected: cluster-test, which lives there now)",
        new DoorClient(TestNode.config("run.dir=runs/another")),
        new Door.Stop(),
        node.address());
  }

  @Test
  void shouldSayWhatEachNodeDidWhenNoneAnswers() {
    String gone = "127.0.0.1:" + TestNode.freePort();
    assertMistake(
        "no node of run cluster-test answers: "
            + gone
            + " nobody listens (expected: one that does)",
        client(),
        new Door.Leave("node-1"),
        gone);
  }

  @Test
  void shouldGiveUpOnANodeThatIsSilent() {
    // The system is there under this address, but not under this name.
    String alias = node.address().replace("127.0.0.1", "localhost");
    UserException silent =
        assertThrows(
            UserException.class,
            () -> client().ask(List.of(alias), new Door.Stop(), Duration.ofSeconds(1)));
    assertTrue(
        silent.getMessage().contains(alias + " gave no answer within 1.0 s"), silent.getMessage());
  }

  private static DoorClient client() {
    return new DoorClient(TestNode.config());
  }

  private static void assertMistake(
      String message, DoorClient client, Door.Request request, String address) {
    UserException mistake =
        assertThrows(UserException.class, () -> client.ask(List.of(address), request, PATIENCE));
    assertEquals(message, mistake.getMessage());
  }
}
