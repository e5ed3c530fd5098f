package troupe.coordinator.events;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import troupe.coordinator.events.NodesFile.Node;
import troupe.coordinator.events.NodesFile.State;
import troupe.core.UserException;

class NodesFileTest {
  private static final Node FIRST = new Node("node-1", 17, 4711, "h:25520", State.UP, false);
  private static final Node SECOND = new Node("node-2", 3, 4712, "h:25521", State.GONE, true);

  @TempDir private Path folder;

  @Test
  void shouldReadBackWhatWasWritten() throws IOException {
    Path file = folder.resolve(NodesFile.FILE_NAME);
    NodesFile nodes = new NodesFile(4, List.of(FIRST, SECOND));
    nodes.write(file);
    assertEquals(nodes, NodesFile.read(file));
    assertEquals(SECOND, nodes.coordinator().orElseThrow());
    JsonObject json = JsonParser.parseString(Files.readString(file)).getAsJsonObject();
    assertEquals(
        "{\"name\":\"node-1\",\"node\":17,\"pid\":4711,\"address\":\"h:25520\","
            + "\"state\":\"up\",\"coordinator\":false}",
        json.getAsJsonArray("nodes").get(0).toString());
  }

  @Test
  void shouldNeverReplaceWhatALaterEpochWrote() {
    Path file = folder.resolve(NodesFile.FILE_NAME);
    NodesFile later = new NodesFile(5, List.of(SECOND));
    later.write(file);
    new NodesFile(4, List.of(FIRST)).write(file);
    assertEquals(later, NodesFile.read(file));
    NodesFile same = new NodesFile(5, List.of(SECOND, FIRST));
    same.write(file);
    assertEquals(same, NodesFile.read(file));
  }

  @Test
  void shouldSayThatThereIsNoneForWhateverElseIsThere() throws IOException {
    Path file = folder.resolve(NodesFile.FILE_NAME);
    assertThrows(UserException.class, () -> NodesFile.read(file));
    new NodesFile(4, List.of(FIRST)).write(file);
    String whole = Files.readString(file).strip();
    for (int length = 0; length < whole.length(); length++) {
      Files.writeString(file, whole.substring(0, length));
      assertThrows(UserException.class, () -> NodesFile.read(file), "length " + length);
    }
    for (String other :
        List.of("null", "[]", "3", "{}", "{\"nodes\":[null]}", "{\"nodes\":[{}]}", "\u0000")) {
      Files.writeString(file, other);
      assertThrows(UserException.class, () -> NodesFile.read(file), other);
    }
    Files.write(file, new byte[] {(byte) 0xff, (byte) 0xfe});
    assertThrows(UserException.class, () -> NodesFile.read(file));
    new NodesFile(1, List.of(FIRST)).write(file);
    assertEquals(1, NodesFile.read(file).epoch(), "what is no such file is replaced");
  }

  @Test
  void shouldGoOnWhenTheFolderCannotBeWritten() throws IOException {
    Path file = Files.createFile(folder.resolve("file")).resolve(NodesFile.FILE_NAME);
    new NodesFile(1, List.of(FIRST)).write(file);
    assertTrue(Files.notExists(file));
  }
}
