/**
 * Who is there: how a node finds the run, is let in or told why not, how it hears of nodes that
 * come and go, and how it notices that it was away itself.
 */
package troupe.coordinator.cluster;
