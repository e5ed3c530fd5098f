/** What GPUs did when, written for people to look at. */
package troupe.coordinator.timeline;
