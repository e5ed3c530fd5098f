/**
 * What capacity, router and machines would do to the experts of a run, without the run: tokens are
 * drawn or read from a trace, routed by the gates themselves, and the time of a step is put
 * together from the speeds of its parts. The model: docs/simulator.md. Shape legend: {@link
 * troupe.core.tensor}; D devices, N nodes, S steps where nothing else is said.
 */
package troupe.coordinator.simulate;
