/**
 * Parameters on disk: safetensors files, checkpoints that are either whole or not there, and the
 * lock of a run.
 *
 * <pre>
 * RUN/lock                                          the process that owns the run ({@link RunLock})
 * RUN/checkpoints/step-00000100/trunk.safetensors   one file a shard ({@link Safetensors})
 *                               manifest.json       written last ({@link Manifest})
 * RUN/checkpoints/step-00000200.tmp-4711/           being written by process 4711, or left by it
 * </pre>
 */
package troupe.core.checkpoint;
