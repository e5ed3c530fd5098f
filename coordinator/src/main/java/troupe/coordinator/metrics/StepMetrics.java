package troupe.coordinator.metrics;

import java.util.List;
import troupe.router.gate.Ledger;

/**
 * What one training step measured, over all ranks. Numbers that are not finite are kept: they are
 * what one looks for later.
 *
 * @param step the step
 * @param loss the trained loss: cross entropy, both auxiliary losses and the penalty, in nats a
 *     token
 * @param ce cross entropy, in nats a token
 * @param balance the load-balancing loss, summed over layers, before its weight in the total
 * @param z the z-loss, summed over layers, before its weight in the total
 * @param penalty what gates themselves add to the loss, summed over layers, as it is in the total;
 *     zero for most
 * @param lr the learning rate
 * @param gradNorm the global norm of all gradients before clipping
 * @param tokensPerS tokens a second
 * @param stepTimeMs how long the step took
 * @param dropped the share of routed tokens over capacity, 0 to 1
 * @param alive the share of tokens that had a choice: more than one expert kept by the mask, 0 to 1
 * @param imbalance the load of the busiest expert over the mean load, the worst layer's; at least 1
 * @param ledger_L where the rows of each layer with experts went
 * @param load_LE rows that each expert was chosen for, before dropping; the caller gives the arrays
 *     away
 */
public record StepMetrics(
    long step,
    double loss,
    double ce,
    double balance,
    double z,
    double penalty,
    double lr,
    double gradNorm,
    double tokensPerS,
    double stepTimeMs,
    double dropped,
    double alive,
    double imbalance,
    List<Ledger> ledger_L,
    long[][] load_LE)
    implements MetricsRecord {}
