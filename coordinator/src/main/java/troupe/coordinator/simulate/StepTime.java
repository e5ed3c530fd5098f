package troupe.coordinator.simulate;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Predicted seconds of a training step by its parts, which follow one another.
 *
 * @param router logits and gates, forward
 * @param dispatch rows to the experts, forward
 * @param experts the slowest device's experts, forward
 * @param combine rows back and added, forward
 * @param backward of router, dispatch, experts and combine
 * @param trunk forward and backward of all the rest
 * @param optimizer AdamW of the busiest device, and the sum of the trunk's gradients over ranks
 * @param control coordination
 */
record StepTime(
    double router,
    double dispatch,
    double experts,
    double combine,
    double backward,
    double trunk,
    double optimizer,
    double control) {
  static final StepTime NONE = new StepTime(0, 0, 0, 0, 0, 0, 0, 0);

  /** All of it. */
  double total() {
    return router + dispatch + experts + combine + backward + trunk + optimizer + control;
  }

  StepTime plus(StepTime other) {
    return new StepTime(
        router + other.router,
        dispatch + other.dispatch,
        experts + other.experts,
        combine + other.combine,
        backward + other.backward,
        trunk + other.trunk,
        optimizer + other.optimizer,
        control + other.control);
  }

  StepTime times(double factor) {
    return new StepTime(
        router * factor,
        dispatch * factor,
        experts * factor,
        combine * factor,
        backward * factor,
        trunk * factor,
        optimizer * factor,
        control * factor);
  }

  /** Seconds by name, in the order of a step. */
  Map<String, Double> parts() {
    Map<String, Double> parts = new LinkedHashMap<>();
    parts.put("router", router);
    parts.put("dispatch", dispatch);
    parts.put("experts", experts);
    parts.put("combine", combine);
    parts.put("backward", backward);
    parts.put("trunk", trunk);
    parts.put("optimizer", optimizer);
    parts.put("control", control);
    return parts;
  }
}
