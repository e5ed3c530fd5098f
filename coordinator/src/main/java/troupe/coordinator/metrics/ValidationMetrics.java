package troupe.coordinator.metrics;

/**
 * The loss on text that is not trained on.
 *
 * @param step the step after which it was measured
 * @param valLoss mean cross entropy in nats a token
 */
public record ValidationMetrics(long step, double valLoss) implements MetricsRecord {}
