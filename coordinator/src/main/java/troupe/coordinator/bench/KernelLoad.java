package troupe.coordinator.bench;

import java.util.function.Function;

/**
 * One kernel at one size, and what it has to do there.
 *
 * @param name of the kernel
 * @param size in words
 * @param amount bytes that have to move, every input read once and every output written once; or
 *     operations of a kernel that computes more than it moves
 * @param prepare makes inputs and outputs, and returns the call
 */
record KernelLoad(
    String name, String size, double amount, Function<ScratchTensors, Runnable> prepare) {}
