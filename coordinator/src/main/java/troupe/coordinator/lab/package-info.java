/**
 * Experiments on gates and gradient estimators: what they measure, and pages, tables and drawings
 * of it. Not part of any training; trainings that belong to an experiment run as {@code troupe
 * train}.
 *
 * <p>Suffixes: T tokens, E experts, D width, F width inside an expert, S slots.
 */
package troupe.coordinator.lab;
