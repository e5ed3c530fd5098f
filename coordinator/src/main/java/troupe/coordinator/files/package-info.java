/** Files that a run keeps writing: whole lines, whole files, and one writer at a time. */
package troupe.coordinator.files;
