/** A cluster on this machine: one JVM a node, started, watched and stopped together. */
package troupe.coordinator.launch;
