package troupe.coordinator.metrics;

/** One line of the metrics of a run. */
public sealed interface MetricsRecord permits StepMetrics, ValidationMetrics, PlacementMetrics {
  /** The step after which it was measured. */
  long step();
}
