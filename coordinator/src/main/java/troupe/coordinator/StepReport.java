package troupe.coordinator;

import java.util.SortedMap;
import troupe.router.gate.Ledger;

/**
 * What a committed step was like.
 *
 * @param step its number, from 1
 * @param loss what was minimised: cross entropy plus weighted balance loss and z-loss, and the
 *     penalty
 * @param crossEntropy mean over the tokens of the step, in nats
 * @param balance balance losses of all layers, unweighted, summed
 * @param z z-losses of all layers, unweighted, summed
 * @param penalty of the gates themselves, in all layers, as it is in the loss
 * @param gradNorm global norm of the gradient before clipping
 * @param tokens tokens of the step over all ranks
 * @param stepTimeNs from the step's begin to its commit
 * @param dropped share of rows over capacity
 * @param alive share of tokens with more than one expert kept by the mask, over all layers
 * @param ledger where the rows went, by layer
 * @param load rows each expert was chosen for, by layer; layers without experts are left out
 */
public record StepReport(
    long step,
    double loss,
    double crossEntropy,
    double balance,
    double z,
    double penalty,
    double learningRate,
    double gradNorm,
    long tokens,
    long stepTimeNs,
    double dropped,
    double alive,
    SortedMap<Integer, Ledger> ledger,
    SortedMap<Integer, long[]> load) {}
