/** Benchmarks that users can run: the trainer itself, its control messages, its nodes. */
package troupe.coordinator.bench;
