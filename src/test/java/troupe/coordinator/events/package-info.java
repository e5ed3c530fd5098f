/** Events and nodes on disk: whole, fenced, and never in the way of training. */
package troupe.coordinator.events;
