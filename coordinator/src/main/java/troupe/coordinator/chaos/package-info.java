/** Training under a seeded plan of faults, measured from the outside, and the verdict on it. */
package troupe.coordinator.chaos;
