package troupe.core.config;

import java.util.List;

/**
 * An experiment of {@code troupe lab}.
 *
 * @param seeds estimators: random problems; toy and ablation: runs of each method, with seeds from
 *     {@code seed} on
 * @param parallel runs of an ablation side by side, each in a process of its own with {@code
 *     cluster.threads}
 * @param arms what toy and ablation compare, each {@code NAME: KEY=VALUE KEY=VALUE ...}
 */
public record LabConfig(
    LabKind kind,
    int seeds,
    int parallel,
    List<String> arms,
    LabEstimators estimators,
    LabToy toy) {
  public LabConfig {
    arms = List.copyOf(arms);
    new Expect("lab")
        .that(seeds >= 1, "seeds", seeds, ">= 1")
        .that(parallel >= 1, "parallel", parallel, ">= 1")
        .that(
            kind == LabKind.ESTIMATORS || !arms.isEmpty(),
            "arms",
            arms,
            "at least one \"NAME: KEY=VALUE ...\" for lab.kind = toy and ablation")
        .orThrow();
  }

  /** What an experiment looks at. */
  public enum LabKind {
    /** Bias, variance, cosine and cost of gradient estimators. */
    ESTIMATORS,
    /** Points that experts of limited capacity divide among themselves. */
    TOY,
    /** Whole trainings, each with something left out or put in. */
    ABLATION
  }

  /**
   * What estimators are measured on.
   *
   * @param gates each a gate.type, or an arm
   * @param experts numbers of experts
   * @param jitters widths of the mask or of the noise
   * @param tokens of a problem, each with logits, outputs and a loss of its own
   * @param samples draws that a mean is taken over
   * @param baseExperts experts while the jitter varies
   * @param baseJitter jitter while the number of experts varies
   */
  public record LabEstimators(
      List<String> gates,
      List<Integer> experts,
      List<Double> jitters,
      int tokens,
      int samples,
      int baseExperts,
      double baseJitter) {
    public LabEstimators {
      gates = List.copyOf(gates);
      experts = List.copyOf(experts);
      jitters = List.copyOf(jitters);
      new Expect("lab.estimators")
          .that(
              !gates.isEmpty(), "gates", gates, "at least one gate.type or \"NAME: KEY=VALUE ...\"")
          .that(
              !experts.isEmpty() && experts.stream().allMatch(n -> n >= 2),
              "experts",
              experts,
              "numbers >= 2")
          .that(
              !jitters.isEmpty() && jitters.stream().allMatch(r -> r >= 0 && r < 1),
              "jitters",
              jitters,
              "numbers >= 0 and < 1")
          .that(tokens >= 2, "tokens", tokens, ">= 2")
          .that(samples >= 2, "samples", samples, ">= 2")
          .that(baseExperts >= 2, "base_experts", baseExperts, ">= 2")
          .that(baseJitter >= 0 && baseJitter < 1, "base_jitter", baseJitter, ">= 0 and < 1")
          .orThrow();
    }
  }

  /**
   * The task of points that experts divide among themselves.
   *
   * @param points as many as experts have places for
   * @param noise standard deviation of the targets around their line
   */
  public record LabToy(int points, int experts, int steps, double learningRate, double noise) {
    public LabToy {
      new Expect("lab.toy")
          .that(experts >= 2, "experts", experts, ">= 2")
          .that(
              points >= 2 && experts >= 1 && points % experts == 0,
              "points",
              points,
              "a multiple of lab.toy.experts = " + experts)
          .that(steps >= 1, "steps", steps, ">= 1")
          .that(learningRate > 0, "learning_rate", learningRate, "> 0")
          .that(noise >= 0, "noise", noise, ">= 0")
          .orThrow();
    }
  }
}
