/** What this machine's CPU offers to the kernels, and how fast it turns out to be. */
package troupe.core.tensor.probe;
