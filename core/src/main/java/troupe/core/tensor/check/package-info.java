/** Every kernel against the reference: what tests, {@code doctor} and GPUs at start check. */
package troupe.core.tensor.check;
