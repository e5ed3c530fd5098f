/** Where experts and ranks live, decided without actors: a pure function of what is known. */
package troupe.coordinator.placement;
