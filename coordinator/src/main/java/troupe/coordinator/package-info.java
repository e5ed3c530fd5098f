/**
 * The coordinator: schedule, placement, balance loss, optimizer step, checkpoints, command line.
 */
package troupe.coordinator;
