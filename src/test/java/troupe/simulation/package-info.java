/**
 * A cluster in one thread: real actors under a simulated clock, simulated wires and a generator
 * that decides who is next. The same seed gives the same schedule, event for event, so what goes
 * wrong once goes wrong again.
 */
package troupe.simulation;
