package troupe.coordinator.lab;

import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import java.util.Arrays;
import java.util.Optional;
import troupe.coordinator.metrics.JsonNumbers;

/**
 * What a training gave. Losses are cross entropies in nats a token.
 *
 * @param hash that of the {@link Trial}
 * @param arm what it was called when it ran
 * @param steps of the training
 * @param width steps that a value of the curve is the mean of
 * @param curve training loss, from the first step on
 * @param validationStep steps after which the loss on held-out text was measured
 * @param validation that loss
 * @param finalLoss mean training loss of the last {@value #FINAL_STEPS} steps
 * @param alive share of the tokens with a choice of experts, over the same steps
 * @param entropy of the load over the same steps, over that of an even load; the mean over layers
 * @param dropped share of the slots without a place, over the same steps
 * @param stepMs median time of a step, but for the first tenth
 * @param seconds of the whole process
 * @param where device, threads and cores it ran on
 */
record TrialResult(
    String hash,
    String arm,
    long seed,
    int steps,
    int width,
    double[] curve,
    double[] validationStep,
    double[] validation,
    double finalLoss,
    double alive,
    double entropy,
    double dropped,
    double stepMs,
    double seconds,
    String where) {
  static final int FINAL_STEPS = 20;

  /** Loss on held-out text at the end; NaN if it was never measured. */
  double finalValidation() {
    return validation.length == 0 ? Double.NaN : validation[validation.length - 1];
  }

  /** The last step of each value of the curve. */
  long[] curveSteps() {
    long[] last = new long[curve.length];
    Arrays.setAll(last, i -> Math.min(steps, (i + 1L) * width));
    return last;
  }

  /** Values of the curve that the final loss is the mean of. */
  int window() {
    return Math.max(1, FINAL_STEPS / width);
  }

  String toLine() {
    JsonObject json = new JsonObject();
    json.addProperty("hash", hash);
    json.addProperty("arm", arm);
    json.addProperty("seed", seed);
    json.addProperty("steps", steps);
    json.addProperty("where", where);
    JsonNumbers.put(json, "final_loss", finalLoss);
    JsonNumbers.put(json, "final_validation", finalValidation());
    JsonNumbers.put(json, "alive", alive);
    JsonNumbers.put(json, "entropy", entropy);
    JsonNumbers.put(json, "dropped", dropped);
    JsonNumbers.put(json, "step_ms", stepMs);
    JsonNumbers.put(json, "seconds", seconds);
    JsonNumbers.put(json, "validation_step", validationStep);
    JsonNumbers.put(json, "validation", validation);
    json.addProperty("width", width);
    JsonNumbers.put(json, "curve", curve);
    return json.toString();
  }

  /** A line of the file, or nothing if it is torn. */
  static Optional<TrialResult> parse(String line) {
    try {
      JsonObject json = JsonParser.parseString(line).getAsJsonObject();
      return Optional.of(
          new TrialResult(
              json.get("hash").getAsString(),
              json.get("arm").getAsString(),
              json.get("seed").getAsLong(),
              json.get("steps").getAsInt(),
              json.get("width").getAsInt(),
              JsonNumbers.numbers(json.getAsJsonArray("curve")),
              JsonNumbers.numbers(json.getAsJsonArray("validation_step")),
              JsonNumbers.numbers(json.getAsJsonArray("validation")),
              JsonNumbers.number(json.get("final_loss")),
              JsonNumbers.number(json.get("alive")),
              JsonNumbers.number(json.get("entropy")),
              JsonNumbers.number(json.get("dropped")),
              JsonNumbers.number(json.get("step_ms")),
              JsonNumbers.number(json.get("seconds")),
              json.get("where").getAsString()));
    } catch (JsonParseException
        | IllegalStateException
        | NullPointerException
        | NumberFormatException
        | UnsupportedOperationException
        | ClassCastException e) {
      return Optional.empty();
    }
  }
}
