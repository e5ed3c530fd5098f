/**
 * The device for training on processors: ND4J's memory, OpenBLAS for matrix products, fused loops
 * on the JDK's Vector API for everything that memory limits. Every call runs on the caller's thread
 * alone; many callers may run at once.
 */
package troupe.core.tensor.cpu;
