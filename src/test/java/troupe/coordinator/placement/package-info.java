/** Placement by properties of random clusters. */
package troupe.coordinator.placement;
