package troupe.coordinator.lab;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;

/** Numbers as JSON has them: what is not finite is null. */
final class Json {
  private Json() {}

  static void put(JsonObject json, String name, double value) {
    json.add(name, element(value));
  }

  static void put(JsonObject json, String name, double[] values) {
    JsonArray array = new JsonArray();
    for (double value : values) {
      array.add(element(value));
    }
    json.add(name, array);
  }

  private static JsonElement element(double value) {
    return Double.isFinite(value) ? new JsonPrimitive(value) : JsonNull.INSTANCE;
  }

  /** NaN for null. */
  static double number(JsonElement element) {
    return element.isJsonNull() ? Double.NaN : element.getAsDouble();
  }

  static double[] numbers(JsonArray array) {
    return array.asList().stream().mapToDouble(Json::number).toArray();
  }
}
