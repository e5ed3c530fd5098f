/** What happened to a run and its nodes, for people and for {@code events.jsonl}. */
package troupe.coordinator.events;
