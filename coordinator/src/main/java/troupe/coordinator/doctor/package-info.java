/** Looks at the machine: what a run would find and use, and what it would miss. */
package troupe.coordinator.doctor;
