/** Experiments: what they measure against enumeration and by hand, and what they leave behind. */
package troupe.coordinator.lab;
