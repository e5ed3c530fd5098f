/**
 * The portable device: ND4J arrays and ND4J operations alone, so that the same code runs on
 * whichever ND4J backend is on the class path, its CUDA backend included.
 */
package troupe.core.tensor.nd4j;
