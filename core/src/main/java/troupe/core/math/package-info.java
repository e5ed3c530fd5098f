/**
 * Functions of doubles and floats over arrays, from IEEE operations alone: the same bits on any
 * machine.
 */
package troupe.core.math;
