package troupe.router.trunk;

import troupe.core.tensor.Tensor;

/**
 * Finds where numbers first stopped being finite; read off the activations that a step keeps
 * anyway.
 */
public final class Divergence {
  private Divergence() {}

  /** The first part of the model whose output is not finite, such as {@code layer=2 expert=5}. */
  public static String locate(MicroBatch micro) {
    int begun = micro.layersBegun();
    for (int layer = 0; layer < begun; layer++) {
      LayerActivations saved = micro.layer(layer);
      if (!finite(saved.in_TD)) {
        return layer == 0 ? "embedding" : "layer=" + (layer - 1) + " combine";
      }
      if (!finite(saved.mid_TD)) {
        return "layer=" + layer + " attention";
      }
      if (!finite(saved.norm2_TD)) {
        return "layer=" + layer + " norm";
      }
      int expert = firstBadExpert(saved.moe);
      if (expert >= 0) {
        return "layer=" + layer + " expert=" + expert;
      }
    }
    return "layer=" + (begun - 1) + (micro.finalNorm_TD == null ? " gate" : " head");
  }

  private static int firstBadExpert(MoeActivations moe) {
    if (moe != null) {
      for (int expert = 0; expert < moe.experts(); expert++) {
        if (moe.output(expert) != null && !finite(moe.output(expert))) {
          return expert;
        }
      }
    }
    return -1;
  }

  private static boolean finite(Tensor tensor) {
    for (double value : tensor.toDoubles()) {
      if (!Double.isFinite(value)) {
        return false;
      }
    }
    return true;
  }
}
