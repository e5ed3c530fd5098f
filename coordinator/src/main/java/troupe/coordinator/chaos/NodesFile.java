package troupe.coordinator.chaos;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.OptionalLong;

/** Reads nodes.json of a run. */
final class NodesFile {
  static final String NAME = "nodes.json";

  private NodesFile() {}

  /** The process of the node with the coordinator; empty if the file does not say. */
  static OptionalLong coordinatorPid(Path runFolder) {
    try {
      JsonArray nodes =
          JsonParser.parseString(Files.readString(runFolder.resolve(NAME))).getAsJsonArray();
      for (JsonElement element : nodes) {
        JsonObject node = element.getAsJsonObject();
        if (node.has("pid") && node.has("coordinator") && node.get("coordinator").getAsBoolean()) {
          return OptionalLong.of(node.get("pid").getAsLong());
        }
      }
      return OptionalLong.empty();
    } catch (IOException | JsonParseException | IllegalStateException e) {
      return OptionalLong.empty();
    }
  }
}
