/** The threads on which routers and experts compute, and what these do meanwhile. */
package troupe.coordinator.compute;
