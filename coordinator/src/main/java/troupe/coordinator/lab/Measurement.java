package troupe.coordinator.lab;

import com.google.gson.JsonObject;
import troupe.coordinator.metrics.JsonNumbers;

/**
 * How good an estimator is, over several problems together. Norms are those of all parameters of
 * all problems; g is the estimate, E its mean over draws.
 *
 * <p>The <em>own</em> objective is that of the probabilities that the gate draws from, its mask
 * taken as given; the <em>whole</em> one is that of the softmax over all experts. For gates without
 * a mask they are one.
 *
 * @param ownBias {@code |E g - own| / |own|}, less what noise of the mean contributes
 * @param ownCosine of {@code E g} and the own gradient
 * @param wholeBias {@code |E g - whole| / |whole|}
 * @param wholeCosine of {@code E g} and the whole gradient: what a mask costs included
 * @param scale {@code <E g, own> / |own|^2}: 1/2 for those that leave half of the gradient out
 * @param variance {@code E |g - E g|^2 / |whole|^2}
 * @param drawCosine mean cosine of a single g and the whole gradient
 * @param resolution the standard error of {@code E g} over {@code |whole|}: biases well below it
 *     are zero for all that one can tell
 * @param alive share of the tokens with more than one expert to choose from
 * @param evaluations experts that a token is sent to, in the mean
 */
record Measurement(
    String gate,
    String problem,
    int experts,
    double jitter,
    double ownBias,
    double ownCosine,
    double wholeBias,
    double wholeCosine,
    double scale,
    double variance,
    double drawCosine,
    double resolution,
    double alive,
    double evaluations) {
  JsonObject json() {
    JsonObject json = new JsonObject();
    json.addProperty("gate", gate);
    json.addProperty("problem", problem);
    json.addProperty("experts", experts);
    json.addProperty("jitter", jitter);
    JsonNumbers.put(json, "own_bias", ownBias);
    JsonNumbers.put(json, "own_cosine", ownCosine);
    JsonNumbers.put(json, "whole_bias", wholeBias);
    JsonNumbers.put(json, "whole_cosine", wholeCosine);
    JsonNumbers.put(json, "scale", scale);
    JsonNumbers.put(json, "variance", variance);
    JsonNumbers.put(json, "draw_cosine", drawCosine);
    JsonNumbers.put(json, "resolution", resolution);
    JsonNumbers.put(json, "alive", alive);
    JsonNumbers.put(json, "evaluations", evaluations);
    return json;
  }
}
