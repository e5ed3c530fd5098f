package troupe.coordinator.events;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import troupe.coordinator.placement.ExpertId;

class EventLogTest {
  private static final InstantSource CLOCK = () -> Instant.parse("2026-03-01T12:00:00.123456Z");

  /** One of each kind. */
  private static final List<RunEvent> ALL =
      List.of(
          new RunEvent.Began(0, List.of("a", "b")),
          new RunEvent.Joined("a", "h:1"),
          new RunEvent.Suspected("a"),
          new RunEvent.Reachable("a"),
          new RunEvent.NodeFailed("a", "no room"),
          new RunEvent.Removed("a", "killed\n  by <someone>"),
          new RunEvent.CoordinatorMoved("b"),
          new RunEvent.EpochBegan(3, "a is gone", 1200),
          new RunEvent.RolledBack(10, 17),
          new RunEvent.ExpertMoved(new ExpertId(0, 1), "a", "b"),
          new RunEvent.RankMoved(2, "a", "b"),
          new RunEvent.Recovered(18, 7, 4.25),
          new RunEvent.Restarted("expert 0/1", 2, "NaN"),
          new RunEvent.Late("rank 1 on b", Double.NaN));

  @TempDir private Path folder;
  private final List<String> console = new ArrayList<>();

  @Test
  void shouldWriteALineForProgramsAndOneForPeople() throws IOException {
    Path file = folder.resolve(EventLog.FILE_NAME);
    try (EventLog log = log(file)) {
      for (int n = 0; n < ALL.size(); n++) {
        log.append(ALL.get(n));
        assertEquals(n + 1, Files.readAllLines(file).size(), "a follower sees it at once");
      }
    }
    List<String> lines = Files.readAllLines(file);
    assertEquals(
        "{\"time\":\"2026-03-01T12:00:00.123Z\",\"event\":\"expert_moved\","
            + "\"expert\":\"0/1\",\"from\":\"a\",\"to\":\"b\"}",
        lines.get(9));
    JsonObject recovered = JsonParser.parseString(lines.get(11)).getAsJsonObject();
    assertEquals(
        List.of("time", "event", "step", "replayed_steps", "lost_seconds"),
        List.copyOf(recovered.keySet()));
    assertEquals(4.25, recovered.get("lost_seconds").getAsDouble());
    assertEquals(
        "[\"a\",\"b\"]",
        JsonParser.parseString(lines.get(0)).getAsJsonObject().get("nodes").toString());
    assertTrue(lines.get(13).endsWith("\"after_seconds\":null}"), lines.get(13));
    assertTrue(lines.stream().allMatch(EventJson::isEvent));
    assertEquals(
        List.of(
            "training begins on a, b",
            "a joined from h:1",
            "a: nothing is heard of it",
            "a is heard of again",
            "a failed, the others go on without it: no room",
            "a is gone: killed; by <someone>",
            "b coordinates from now on",
            "epoch 3 begins after step 1,200: a is gone",
            "rolled back from step 17 to step 10",
            "expert 0/1 moved from a to b",
            "rank 2 moved from a to b",
            "step 18 is done: 7 steps replayed, 4.3 s lost",
            "expert 0/1 restarted, incarnation 2: NaN",
            "rank 1 on b is late: no answer for NaN s"),
        console);
  }

  @Test
  void shouldHoldOneOfEachKind() {
    // A new kind of event belongs in the list above.
    assertEquals(
        List.of(RunEvent.class.getPermittedSubclasses()),
        ALL.stream().<Class<?>>map(Object::getClass).toList());
  }

  @Test
  void shouldShowNothingOfAProcessThatWasReplaced() throws IOException {
    Path file = folder.resolve(EventLog.FILE_NAME);
    try (EventLog zombie = log(file)) {
      zombie.append(new RunEvent.Suspected("a"));
      try (EventLog next = log(file)) {
        zombie.append(new RunEvent.Suspected("z"));
        next.append(new RunEvent.CoordinatorMoved("b"));
        zombie.append(new RunEvent.Suspected("z"));
      }
      assertEquals(0, zombie.lost(), "it believes that all is well");
    }
    List<String> lines = Files.readAllLines(file);
    assertEquals(2, lines.size(), lines.toString());
    assertTrue(lines.get(0).contains("suspected"), lines.get(0));
    assertTrue(lines.get(1).contains("coordinator_moved"), lines.get(1));
    assertEquals(List.of(file), files());
  }

  @Test
  void shouldDropATornLineOfAnyLength() throws IOException {
    Path file = folder.resolve(EventLog.FILE_NAME);
    String whole = EventJson.toLine(ALL.get(0), CLOCK.instant()) + "\n";
    String last = EventJson.toLine(ALL.get(6), CLOCK.instant());
    for (int length = 1; length < last.length(); length++) {
      Files.writeString(file, whole + last.substring(0, length));
      try (EventLog log = log(file)) {
        log.append(ALL.get(2));
      }
      List<String> lines = Files.readAllLines(file);
      assertEquals(2, lines.size(), "length " + length);
      assertEquals(whole, lines.get(0) + "\n");
    }
  }

  @Test
  void shouldGoOnWhenTheFolderCannotBeWritten() throws IOException {
    // Even root cannot make a file below a file.
    Path file = Files.createFile(folder.resolve("file")).resolve(EventLog.FILE_NAME);
    try (EventLog log = log(file)) {
      log.append(ALL.get(0));
      log.append(ALL.get(1));
      assertEquals(2, log.lost());
    }
    assertEquals(2, console.size());
    assertFalse(Files.exists(file));
  }

  private EventLog log(Path file) {
    return EventLog.takeOver(file, console::add, CLOCK);
  }

  private List<Path> files() throws IOException {
    try (var paths = Files.list(folder)) {
      return paths.toList();
    }
  }
}
