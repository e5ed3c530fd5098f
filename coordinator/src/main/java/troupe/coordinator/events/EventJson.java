package troupe.coordinator.events;

import com.google.gson.FieldNamingPolicy;
import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import com.google.gson.JsonPrimitive;
import com.google.gson.JsonSerializer;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Locale;
import troupe.coordinator.placement.ExpertId;

/**
 * Events as lines of JSON: {@code time} in UTC, {@code event}, then its components, all in snake
 * case. JSON knows no NaN or infinity: both are written as null.
 */
final class EventJson {
  private static final JsonSerializer<Double> FINITE =
      (value, type, context) ->
          Double.isFinite(value) ? new JsonPrimitive(value) : JsonNull.INSTANCE;

  private static final Gson GSON =
      new GsonBuilder()
          .setFieldNamingPolicy(FieldNamingPolicy.LOWER_CASE_WITH_UNDERSCORES)
          .registerTypeAdapter(
              ExpertId.class,
              (JsonSerializer<ExpertId>) (id, type, context) -> new JsonPrimitive(id.toString()))
          .registerTypeAdapter(double.class, FINITE)
          .registerTypeAdapter(Double.class, FINITE)
          .disableHtmlEscaping()
          .serializeNulls()
          .create();

  private EventJson() {}

  /** One line without its line break. */
  static String toLine(RunEvent event, Instant time) {
    JsonObject json = new JsonObject();
    json.addProperty("time", time.truncatedTo(ChronoUnit.MILLIS).toString());
    json.addProperty("event", name(event));
    GSON.toJsonTree(event, event.getClass()).getAsJsonObject().asMap().forEach(json::add);
    return GSON.toJson(json);
  }

  /** Whether a line is whole and one of ours. */
  static boolean isEvent(String line) {
    try {
      return JsonParser.parseString(line).getAsJsonObject().has("event");
    } catch (JsonParseException | IllegalStateException e) {
      return false;
    }
  }

  private static String name(RunEvent event) {
    return event
        .getClass()
        .getSimpleName()
        .replaceAll("(?<!^)([A-Z])", "_$1")
        .toLowerCase(Locale.ROOT);
  }
}
