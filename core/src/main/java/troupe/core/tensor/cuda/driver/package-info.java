/**
 * NVIDIA's libraries through the foreign function interface: the driver, the run-time compiler,
 * cuBLASLt. Nothing here is loaded before a cuda device is opened, and one set of bindings serves
 * CUDA 12 and 13.
 */
package troupe.core.tensor.cuda.driver;
