/**
 * Counter-based randomness: a draw is a function of what it is for, never of when or where it is
 * made.
 */
package troupe.core.random;
