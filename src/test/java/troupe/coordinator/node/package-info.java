/** Tests of whole nodes: real processes on this machine. */
package troupe.coordinator.node;
