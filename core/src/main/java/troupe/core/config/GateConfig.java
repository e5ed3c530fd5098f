package troupe.core.config;

/**
 * Gate and gradient estimator.
 *
 * @param topK experts of a token, for gates that let one choose
 * @param omega whether a learned vector scales each channel of the experts' output
 * @param jitter half width of the factor on Switch's logits or input; the relative distance of
 *     SparseMixer's mask
 * @param balanceCoefficient weight of the load-balancing loss, for gates that have one
 * @param zCoefficient weight of the mean squared log-sum-exp of the logits
 * @param temperature of the Gumbel-softmax of {@link GateType#ST_GUMBEL} and the first of the two
 *     softmaxes of {@link GateType#REINMAX}
 * @param allowLeak whether a gate may be trained that looks at tokens to come
 * @param trace whether router logits are written to the folder of the run
 */
public record GateConfig(
    GateType type,
    int topK,
    boolean omega,
    double jitter,
    JitterOn jitterOn,
    Mask mask,
    double balanceCoefficient,
    double zCoefficient,
    double temperature,
    boolean allowLeak,
    boolean trace,
    Ode ode,
    Gshard gshard,
    ExpertChoice expertChoice,
    Sinkhorn sinkhorn,
    Hash hash,
    Deepseek deepseek,
    Relu relu,
    Reinforce reinforce) {
  /** What nobody has set: configs that were written out have it too. */
  private static final double DEFAULT_BALANCE = 0.01;

  /** Rounds that have draws of their own. */
  public static final int MAX_ROUNDS = 16;

  public GateConfig {
    new Expect("gate")
        .that(topK >= 1, "top_k", topK, ">= 1")
        .that(topK < 2 || type.hasTopK(), "top_k", topK, "1 for gate.type = " + Keys.name(type))
        .that(
            topK <= MAX_ROUNDS || type != GateType.SPARSEMIXER_V2,
            "top_k",
            topK,
            "at most " + MAX_ROUNDS + " rounds of gate.type = sparsemixer-v2")
        .that(jitter >= 0, "jitter", jitter, ">= 0")
        .that(balanceCoefficient >= 0, "balance_coefficient", balanceCoefficient, ">= 0")
        .that(
            type.hasBalanceLoss()
                || balanceCoefficient == 0
                || balanceCoefficient == DEFAULT_BALANCE,
            "balance_coefficient",
            balanceCoefficient,
            "0, or not set, for gate.type = " + Keys.name(type) + ", which has no balance loss")
        .that(zCoefficient >= 0, "z_coefficient", zCoefficient, ">= 0")
        .that(temperature > 0, "temperature", temperature, "> 0")
        .that(
            temperature >= 1 || type != GateType.REINMAX,
            "temperature",
            temperature,
            ">= 1 for gate.type = reinmax")
        .that(
            type != GateType.EXPERT_CHOICE || allowLeak,
            "type",
            Keys.name(type),
            "a gate that decides token by token, for a causal model must not see tokens to come;"
                + " gate.allow_leak = true trains it all the same")
        .orThrow();
  }

  /** Adds what depends on how many experts there are and how much they take. */
  void check(Expect expect, RunConfig.Experts experts) {
    expect
        .that(
            type != GateType.SWITCH || jitter < 1,
            "gate.jitter",
            jitter,
            "< 1 for gate.type = switch, or factors of both signs are drawn")
        .that(
            topK <= experts.count(),
            "gate.top_k",
            topK,
            "at most experts.count = " + experts.count())
        .that(
            type != GateType.GSHARD || experts.count() >= 2,
            "experts.count",
            experts.count(),
            ">= 2 for gate.type = gshard")
        .that(
            type != GateType.DEEPSEEK_V3 || experts.count() % deepseek.groups == 0,
            "gate.deepseek.groups",
            deepseek.groups,
            "a divisor of experts.count = " + experts.count())
        .that(
            type != GateType.DEEPSEEK_V3
                || topK <= experts.count() / deepseek.groups * deepseek.topGroups,
            "gate.top_k",
            topK,
            "at most the experts of gate.deepseek.top_groups groups")
        .that(
            !type.asksAllExperts() || experts.capacityFactor() == 0,
            "experts.capacity_factor",
            experts.capacityFactor(),
            "0 for gate.type = " + Keys.name(type) + ", where every expert gets every token");
  }

  /**
   * Experts that a token is computed by, of {@code experts}: the mean where tokens differ, the most
   * where a gate may leave one out.
   */
  public int expertsPerToken(int experts) {
    return switch (type) {
      case DENSE -> experts;
      case GSHARD -> 2;
      default -> topK;
    };
  }

  /** Weight of the load-balancing loss: zero for gates that are balanced otherwise. */
  public double balanceWeight() {
    return type.hasBalanceLoss() ? balanceCoefficient : 0;
  }

  /** A gate with one expert a token and neutral values for what only other gates look at. */
  public static GateConfig topOne(
      GateType type, boolean omega, double jitter, JitterOn jitterOn, Mask mask) {
    return new GateConfig(
        type,
        1,
        omega,
        jitter,
        jitterOn,
        mask,
        DEFAULT_BALANCE,
        0,
        1,
        true,
        false,
        new Ode("heun", true),
        new Gshard(SecondExpert.BEST, Normalise.BEFORE_DROP),
        new ExpertChoice(SoftmaxOver.EXPERTS),
        new Sinkhorn(1e-4, 1000),
        new Hash(HashTable.RANDOM),
        new Deepseek(Score.SIGMOID, 1, 1, 1, 0.001),
        new Relu(1e-8, 1.2),
        new Reinforce(Baseline.LEAVE_ONE_OUT, 0, 0.99, false));
  }

  /** This gate under another name. */
  public GateConfig with(GateType other, int k) {
    return new GateConfig(
        other,
        k,
        omega,
        jitter,
        jitterOn,
        mask,
        balanceCoefficient,
        zCoefficient,
        temperature,
        allowLeak,
        trace,
        ode,
        gshard,
        expertChoice,
        sinkhorn,
        hash,
        deepseek,
        relu,
        reinforce);
  }

  /**
   * Integration along the output of an expert, for {@link GateType#SPARSEMIXER_ODE} and {@link
   * GateType#SPARSEMIXER_V2}.
   *
   * @param rule euler, midpoint, heun, simpson, gauss-N or radau-N
   * @param fullBest whether the best expert is always taken at full scale
   */
  public record Ode(String rule, boolean fullBest) {
    public Ode {
      new Expect("gate.ode")
          .that(
              rule.matches("euler|midpoint|heun|heun-published|simpson|(gauss|radau)-[1-9][0-9]?"),
              "rule",
              rule,
              "euler, midpoint, heun, heun-published, simpson, gauss-N or radau-N")
          .orThrow();
    }
  }

  /** The second expert of GShard's gate. */
  public record Gshard(SecondExpert second, Normalise normalise) {}

  /** How GShard's gate takes the second expert. */
  public enum SecondExpert {
    /** The second best. */
    BEST,
    /** The best of the rest after Gumbel noise. */
    SAMPLED,
    /** The second best, kept if twice its probability exceeds a draw. */
    RANDOM,
    /** The second best, kept if a draw is below its share of both over 0.2. */
    THRESHOLD
  }

  /** Whether weights of several experts are made to sum to one before or after capacity. */
  public enum Normalise {
    BEFORE_DROP,
    AFTER_DROP
  }

  /** What the softmax of Expert Choice sums to one over. */
  public record ExpertChoice(SoftmaxOver softmax) {}

  /** The axis of a softmax. */
  public enum SoftmaxOver {
    EXPERTS,
    TOKENS
  }

  /**
   * Sinkhorn's iteration.
   *
   * @param tolerance mean change of the experts' factors at which it ends
   * @param iterations when it ends all the same
   */
  public record Sinkhorn(double tolerance, int iterations) {
    public Sinkhorn {
      new Expect("gate.sinkhorn")
          .that(tolerance > 0, "tolerance", tolerance, "> 0")
          .that(iterations >= 1, "iterations", iterations, ">= 1")
          .orThrow();
    }
  }

  /** The table of the gate that hashes. */
  public record Hash(HashTable table) {}

  /** How the table of a hash gate is filled. */
  public enum HashTable {
    /** Every id draws its expert. */
    RANDOM,
    /** The most frequent id to the least loaded expert, and so on. */
    BALANCED
  }

  /**
   * DeepSeek-V3's gate.
   *
   * @param groups groups of experts
   * @param topGroups groups that a token may reach
   * @param scale factor on the weights
   * @param biasRate by how much the bias of an expert changes in a step
   */
  public record Deepseek(Score score, int groups, int topGroups, double scale, double biasRate) {
    public Deepseek {
      new Expect("gate.deepseek")
          .that(groups >= 1, "groups", groups, ">= 1")
          .that(
              topGroups >= 1 && topGroups <= groups,
              "top_groups",
              topGroups,
              "from 1 to gate.deepseek.groups = " + groups)
          .that(scale > 0, "scale", scale, "> 0")
          .that(biasRate >= 0, "bias_rate", biasRate, ">= 0")
          .orThrow();
    }
  }

  /** What DeepSeek's gate turns logits into. */
  public enum Score {
    SIGMOID,
    SOFTMAX
  }

  /**
   * ReLU routing: {@code gate.top_k} is the number of experts that it aims at.
   *
   * @param coefficient weight of the L1 penalty at the start
   * @param growth factor on it after a step with too many or too few experts
   */
  public record Relu(double coefficient, double growth) {
    public Relu {
      new Expect("gate.relu")
          .that(coefficient > 0, "coefficient", coefficient, "> 0")
          .that(growth > 1, "growth", growth, "> 1")
          .orThrow();
    }
  }

  /**
   * What estimators of the score function subtract from the loss.
   *
   * @param value of the constant baseline, and of the others at the start, in nats a token
   * @param decay of the moving average
   * @param gated whether an expert's output is multiplied by its probability
   */
  public record Reinforce(Baseline baseline, double value, double decay, boolean gated) {
    public Reinforce {
      new Expect("gate.reinforce")
          .that(Double.isFinite(value), "value", value, "finite")
          .that(decay >= 0 && decay < 1, "decay", decay, ">= 0 and < 1")
          .orThrow();
    }
  }

  /** A baseline. */
  public enum Baseline {
    CONSTANT,
    /** The moving average of the loss of earlier steps. */
    EMA,
    /** The mean loss of the other sequences of the micro-batch. */
    LEAVE_ONE_OUT
  }

  /** What the jitter of the Switch gate multiplies. */
  public enum JitterOn {
    LOGITS,
    INPUT
  }

  /**
   * Which experts a token may reach: by the rule of the authors' code, by that of their paper, or
   * all.
   */
  public enum Mask {
    CODE,
    PAPER,
    NONE
  }
}
