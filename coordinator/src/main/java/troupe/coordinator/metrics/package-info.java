/**
 * What a run tells about itself: one line of JSON a step, and a page that shows them all.
 *
 * <p>Suffixes: L mixture-of-experts layers, E experts.
 */
package troupe.coordinator.metrics;
