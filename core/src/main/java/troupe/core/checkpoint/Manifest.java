package troupe.core.checkpoint;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import com.google.gson.Strictness;
import com.google.gson.stream.JsonReader;
import com.google.gson.stream.JsonToken;
import java.io.IOException;
import java.io.StringReader;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * What a checkpoint consists of. The file is JSON with snake-case keys and ends with a hash of its
 * own content, so that a changed manifest is as visible as a changed shard.
 *
 * @param step the last step that is in the parameters
 * @param epoch the epoch that wrote it
 * @param configHash identifies what the run computes
 * @param runId identifies the run
 * @param seed the seed of the run
 * @param created when the checkpoint was finished
 * @param files all files but the manifest
 */
public record Manifest(
    long step,
    long epoch,
    String configHash,
    String runId,
    long seed,
    Instant created,
    List<Entry> files) {
  /** The name of the manifest in its directory. */
  public static final String FILE_NAME = "manifest.json";

  private static final int VERSION = 1;
  private static final Pattern SAFE_NAME = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]*");
  private static final Gson PRETTY =
      new GsonBuilder().setPrettyPrinting().disableHtmlEscaping().create();

  /** Copies the list. */
  public Manifest {
    files = List.copyOf(files);
  }

  /**
   * One file.
   *
   * @param name its name in the directory of the checkpoint
   * @param bytes its length
   * @param sha256 the hash of its content in lower-case hexadecimal
   */
  public record Entry(String name, long bytes, String sha256) {
    /** Refuses names that could point out of the directory. */
    public Entry {
      if (!isSafeName(name)) {
        throw new IllegalArgumentException("file name: " + name + " (expected: " + SAFE_NAME + ")");
      }
    }
  }

  /** Whether a name can be that of a shard or file: letters, digits, dot, dash and underscore. */
  static boolean isSafeName(String name) {
    return SAFE_NAME.matcher(name).matches();
  }

  /** The manifest as the bytes of its file. */
  byte[] toJson() {
    JsonObject json = new JsonObject();
    json.addProperty("version", VERSION);
    json.addProperty("step", step);
    json.addProperty("epoch", epoch);
    json.addProperty("config_hash", configHash);
    json.addProperty("run_id", runId);
    json.addProperty("seed", seed);
    json.addProperty("created", created.toString());
    JsonArray list = new JsonArray();
    for (Entry file : files) {
      JsonObject entry = new JsonObject();
      entry.addProperty("name", file.name);
      entry.addProperty("bytes", file.bytes);
      entry.addProperty("sha256", file.sha256);
      list.add(entry);
    }
    json.add("files", list);
    json.addProperty("sha256", contentHash(json));
    return (PRETTY.toJson(json) + "\n").getBytes(StandardCharsets.UTF_8);
  }

  /**
   * Reads a manifest.
   *
   * @throws CorruptFileException if it is torn, changed, or of a version this program does not know
   * @throws IOException if it cannot be read
   */
  static Manifest read(Path file) throws IOException {
    byte[] bytes = Files.readAllBytes(file);
    try {
      JsonObject json = parse(bytes);
      int version = field(json, "version").getAsInt();
      if (version != VERSION) {
        throw new CorruptFileException(
            file, "version: " + version + " (expected: " + VERSION + ")");
      }
      String promised = field(json, "sha256").getAsString();
      json.remove("sha256");
      String actual = contentHash(json);
      if (!actual.equals(promised)) {
        throw new CorruptFileException(
            file, "SHA-256 of its content: " + actual + " (expected: " + promised + ")");
      }
      return of(json);
    } catch (CorruptFileException e) {
      throw e;
    } catch (IOException
        | JsonParseException
        | IllegalStateException
        | IllegalArgumentException
        | UnsupportedOperationException
        | DateTimeException e) {
      throw CorruptFileException.unreadable(file, "torn or changed", e);
    }
  }

  private static Manifest of(JsonObject json) {
    List<Entry> files = new ArrayList<>();
    Set<String> names = new HashSet<>();
    for (JsonElement element : field(json, "files").getAsJsonArray()) {
      JsonObject entry = element.getAsJsonObject();
      String name = field(entry, "name").getAsString();
      if (!names.add(name)) {
        throw new IllegalArgumentException("file " + name + " is there twice");
      }
      files.add(
          new Entry(name, field(entry, "bytes").getAsLong(), field(entry, "sha256").getAsString()));
    }
    return new Manifest(
        field(json, "step").getAsLong(),
        field(json, "epoch").getAsLong(),
        field(json, "config_hash").getAsString(),
        field(json, "run_id").getAsString(),
        field(json, "seed").getAsLong(),
        Instant.parse(field(json, "created").getAsString()),
        files);
  }

  private static JsonObject parse(byte[] bytes) throws IOException {
    String text = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
    JsonReader reader = new JsonReader(new StringReader(text));
    reader.setStrictness(Strictness.STRICT);
    JsonObject json = JsonParser.parseReader(reader).getAsJsonObject();
    // Without its last line break the file has been cut, even if what is left parses.
    if (reader.peek() != JsonToken.END_DOCUMENT || !text.endsWith("}\n")) {
      throw new IllegalStateException("it does not end where it should");
    }
    return json;
  }

  private static JsonElement field(JsonObject json, String name) {
    JsonElement value = json.get(name);
    if (value == null) {
      throw new IllegalStateException(name + " is missing");
    }
    return value;
  }

  /**
   * The compact text is the canonical one: white space may differ, values and their order may not.
   */
  private static String contentHash(JsonObject json) {
    return Sha256.of(json.toString().getBytes(StandardCharsets.UTF_8));
  }
}
