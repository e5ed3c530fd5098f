package troupe;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.Reader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.stream.Stream;

/**
 * An object of a golden file: numbers that the original authors' code produced. Files come from the
 * folder that the system property {@code golden.dir} names, or from the resource folder {@code
 * /golden} when it is absent or empty.
 *
 * <p>Numbers keep every bit: they are read by {@link Double#parseDouble}, with NaN, Infinity, -0.0
 * and subnormal ones.
 */
public final class Golden {
  private final String name;
  private final JsonObject json;

  private Golden(String name, JsonObject json) {
    this.name = name;
    this.json = json;
  }

  /** The file {@code NAME.json}. */
  public static Golden load(String name) {
    try (Reader reader = open(name + ".json")) {
      return parse(name, reader);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static Golden parse(String name, Reader reader) {
    return new Golden(name, JsonParser.parseReader(reader).getAsJsonObject());
  }

  /** The cases of the file {@code NAME.json}, each named by its id; never none. */
  public static Stream<Golden> cases(String name) {
    List<Golden> cases = load(name).children("cases");
    if (cases.isEmpty()) {
      throw new IllegalStateException(name + ".json: 0 cases (expected: >= 1)");
    }
    return cases.stream();
  }

  private static Reader open(String file) throws IOException {
    String directory = System.getProperty("golden.dir", "");
    if (!directory.isEmpty()) {
      return Files.newBufferedReader(Path.of(directory, file));
    }
    InputStream resource = Golden.class.getResourceAsStream("/golden/" + file);
    if (resource == null) {
      throw new IOException("/golden/" + file + ": no such resource");
    }
    return new InputStreamReader(resource, StandardCharsets.UTF_8);
  }

  /** Whether the object has the key. */
  public boolean has(String key) {
    return json.has(key);
  }

  /** A string. */
  public String text(String key) {
    return get(key).getAsString();
  }

  /** A truth value, written as such or as 0 or 1. */
  public boolean flag(String key) {
    return truth(get(key));
  }

  /** A whole number. */
  public int integer(String key) {
    return get(key).getAsInt();
  }

  /** A number. */
  public double number(String key) {
    return get(key).getAsDouble();
  }

  /** All numbers of an array of whatever depth, row-major. */
  public double[] doubles(String key) {
    return leaves(get(key)).mapToDouble(JsonElement::getAsDouble).toArray();
  }

  /** All whole numbers of an array of whatever depth, row-major. */
  public int[] ints(String key) {
    return leaves(get(key)).mapToInt(JsonElement::getAsInt).toArray();
  }

  /** All truth values of an array of whatever depth, row-major. */
  public boolean[] flags(String key) {
    List<JsonElement> leaves = leaves(get(key)).toList();
    boolean[] flags = new boolean[leaves.size()];
    for (int i = 0; i < flags.length; i++) {
      flags[i] = truth(leaves.get(i));
    }
    return flags;
  }

  /** An array of arrays of numbers. */
  public double[][] matrix(String key) {
    JsonArray rows = get(key).getAsJsonArray();
    double[][] matrix = new double[rows.size()][];
    Iterator<JsonElement> row = rows.iterator();
    for (int i = 0; i < matrix.length; i++) {
      matrix[i] = leaves(row.next()).mapToDouble(JsonElement::getAsDouble).toArray();
    }
    return matrix;
  }

  /** An object inside this one. */
  public Golden child(String key) {
    return new Golden(name + "." + key, get(key).getAsJsonObject());
  }

  /** An array of objects; each is named by its {@code id}, or its index where it has none. */
  public List<Golden> children(String key) {
    List<Golden> children = new ArrayList<>();
    for (JsonElement element : get(key).getAsJsonArray()) {
      JsonObject object = element.getAsJsonObject();
      String id =
          object.has("id")
              ? object.get("id").getAsString()
              : name + "." + key + "[" + children.size() + "]";
      children.add(new Golden(id, object));
    }
    return children;
  }

  private JsonElement get(String key) {
    JsonElement value = json.get(key);
    if (value == null) {
      throw new IllegalArgumentException(name + ": no " + key + " among " + json.keySet());
    }
    return value;
  }

  private static boolean truth(JsonElement value) {
    boolean number = value.getAsJsonPrimitive().isNumber();
    return number ? value.getAsInt() != 0 : value.getAsBoolean();
  }

  private static Stream<JsonElement> leaves(JsonElement element) {
    return element.isJsonArray()
        ? element.getAsJsonArray().asList().stream().flatMap(Golden::leaves)
        : Stream.of(element);
  }

  @Override
  public String toString() {
    return name;
  }
}
