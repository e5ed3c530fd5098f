package troupe.coordinator.metrics;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;

/** Numbers as JSON has them: it knows no NaN or infinity, so what is not finite is null. */
public final class JsonNumbers {
  private JsonNumbers() {}

  /** Adds a number. */
  public static void put(JsonObject json, String name, double value) {
    json.add(name, element(value));
  }

  /** Adds a list of numbers. */
  public static void put(JsonObject json, String name, double[] values) {
    JsonArray array = new JsonArray();
    for (double value : values) {
      array.add(element(value));
    }
    json.add(name, array);
  }

  private static JsonElement element(double value) {
    return Double.isFinite(value) ? new JsonPrimitive(value) : JsonNull.INSTANCE;
  }

  /** A number, NaN for null. */
  public static double number(JsonElement element) {
    return element.isJsonNull() ? Double.NaN : element.getAsDouble();
  }

  /** A list of numbers, NaN for null. */
  public static double[] numbers(JsonArray array) {
    return array.asList().stream().mapToDouble(JsonNumbers::number).toArray();
  }
}
