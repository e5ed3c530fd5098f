/**
 * What every node of a run has: a host actor that keeps routers and experts, their committed state,
 * and copies of the state of other nodes.
 */
package troupe.coordinator.host;
