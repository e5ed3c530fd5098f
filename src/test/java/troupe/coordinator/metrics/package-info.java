/** Metrics that survive crashes and full disks, and the page made of them. */
package troupe.coordinator.metrics;
