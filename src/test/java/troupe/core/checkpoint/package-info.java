/** Checkpoints on good days, torn files, full disks and second processes. */
package troupe.core.checkpoint;
