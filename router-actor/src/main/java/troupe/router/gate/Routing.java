package troupe.router.gate;

/**
 * What a gate decided for the tokens of a micro-batch. Slot k of token t is at {@code t * topK +
 * k}.
 *
 * @param logits_TE the logits as used (after logit jitter)
 * @param p_TE softmax over the experts that the mask kept, zero for the others; what the balance
 *     loss uses
 * @param kept_TE whether the mask kept the expert, {@code null} if all are kept
 * @param expert_TK the expert of each slot
 * @param scale_TK the detached scale {@code a} in [0, 1] of each slot
 * @param multiplier_TK what the expert's output is multiplied by: {@code a * p[expert]}
 * @param logitScale_TE the jitter factor of each logit, {@code null} if none was applied
 * @param gradientFactor the estimator's factor {@code kappa} on the gradient of the logits: 2 where
 *     SparseMixer v1 trains, else 1
 */
public record Routing(
    int tokens,
    int experts,
    int topK,
    double[] logits_TE,
    double[] p_TE,
    boolean[] kept_TE,
    int[] expert_TK,
    double[] scale_TK,
    double[] multiplier_TK,
    double[] logitScale_TE,
    double gradientFactor) {}
