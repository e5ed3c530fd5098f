/**
 * How control messages travel between nodes: Kryo with a closed list of types, read strictly by the
 * declared types of their records. What does not fit is refused with one line and dropped.
 */
package troupe.coordinator.wire;
