/** Benchmarks that users can run: the trainer itself, with a profile of where the time goes. */
package troupe.coordinator.bench;
