/**
 * One pass of a rank over its micro-batches, as a fixed schedule of pieces that wait for experts;
 * without actors.
 */
package troupe.router.pass;
