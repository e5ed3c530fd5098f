/**
 * The reference device: plain loops in double precision, slow and obvious, the oracle of every
 * kernel test.
 */
package troupe.core.tensor.reference;
