package troupe.coordinator.metrics;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What the report says about a run beside its metrics.
 *
 * @param title the name of the run
 * @param parameters how many numbers are trained
 * @param tokensPerStep tokens of one step over all ranks
 * @param lossUnit what a loss is counted in, {@code nats/byte} with the byte tokenizer
 * @param config all keys and values, in the order to show
 */
public record ReportFacts(
    String title,
    long parameters,
    long tokensPerStep,
    String lossUnit,
    Map<String, String> config) {
  /** Copies the map, keeping its order. */
  public ReportFacts {
    config = Collections.unmodifiableMap(new LinkedHashMap<>(config));
  }
}
