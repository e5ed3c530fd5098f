/** One node of a run on many: joins, hosts, perhaps coordinates, and leaves. */
package troupe.coordinator.node;
