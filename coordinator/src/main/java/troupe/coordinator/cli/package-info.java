/** The command line: one class a verb, registered in {@link troupe.coordinator.cli.Troupe}. */
package troupe.coordinator.cli;
