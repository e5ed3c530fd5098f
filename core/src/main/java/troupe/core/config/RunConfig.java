package troupe.core.config;

import java.time.Duration;
import java.util.List;
import java.util.stream.IntStream;
import troupe.core.tensor.Activation;

/**
 * Everything that decides what a run computes and where it keeps its files. Built from HOCON by
 * {@link ConfigLoader}; keys are the component names in snake case ({@code train.micro_batches}),
 * enum values are in lower case with dashes ({@code sparsemixer-1st}). What each value means and
 * why it has its default stands beside it in {@code configs/defaults.conf}.
 *
 * <p>Every record checks its own values, this one those that depend on each other: an {@link
 * IllegalArgumentException} has one line for each violation, {@code key: found (expected: what)}.
 *
 * @param seed the key of every random draw of the run
 * @param device the name of the device that holds the tensors: {@code cpu}, {@code cuda}, {@code
 *     cuda:0}, {@code nd4j}, {@code reference} or {@code auto}
 */
public record RunConfig(
    Run run,
    long seed,
    String device,
    Cuda cuda,
    Model model,
    GateConfig gate,
    Experts experts,
    Data data,
    Optimizer optimizer,
    Schedule schedule,
    Train train,
    Evaluate evaluate,
    Generate generate,
    Checkpoint checkpoint,
    Cluster cluster,
    Placement placement,
    Replicate replicate,
    Transport transport,
    Faults faults,
    Simulate simulate,
    Lab lab) {

  public RunConfig {
    long parts = (long) train.ranks * train.microBatches;
    Expect expect =
        new Expect("")
            .that(!device.isBlank(), "device", device, "the name of a device, such as cpu")
            .that(
                parts <= train.batch,
                train.ranks > train.batch ? "train.ranks" : "train.micro_batches",
                train.ranks > train.batch ? train.ranks : train.microBatches,
                "at most train.batch = "
                    + train.batch
                    + " sequences for ranks * micro_batches = "
                    + parts)
            .that(
                parts > train.batch || train.batch % parts == 0,
                "train.batch",
                train.batch,
                "a multiple of ranks * micro_batches = " + parts)
            .that(
                gate.type != GateType.SWITCH || gate.jitter < 1,
                "gate.jitter",
                gate.jitter,
                "< 1 for gate.type = switch, or factors of both signs are drawn");
    expect
        .that(
            gate.topK <= experts.count,
            "gate.top_k",
            gate.topK,
            "at most experts.count = " + experts.count)
        .that(
            gate.type != GateType.GSHARD || experts.count >= 2,
            "experts.count",
            experts.count,
            ">= 2 for gate.type = gshard")
        .that(
            gate.type != GateType.DEEPSEEK_V3 || experts.count % gate.deepseek.groups == 0,
            "gate.deepseek.groups",
            gate.deepseek.groups,
            "a divisor of experts.count = " + experts.count)
        .that(
            gate.type != GateType.DEEPSEEK_V3
                || gate.topK <= experts.count / gate.deepseek.groups * gate.deepseek.topGroups,
            "gate.top_k",
            gate.topK,
            "at most the experts of gate.deepseek.top_groups groups")
        .that(
            !gate.type.asksAllExperts() || experts.capacityFactor == 0,
            "experts.capacity_factor",
            experts.capacityFactor,
            "0 for gate.type = " + Keys.name(gate.type) + ", where every expert gets every token");
    for (String text : faults.expertThrows) {
      Fault fault = Fault.parse(text);
      expect.that(
          fault.layer() < model.layers
              && model.isMoe(fault.layer())
              && fault.expert() < experts.count,
          "faults.expert_throws",
          text,
          "a mixture layer below " + model.layers + " and an expert below " + experts.count);
    }
    expect.orThrow();
  }

  /**
   * What NVIDIA's GPUs need.
   *
   * @param lib folders to look for its libraries in first, separated by colons; may be empty
   * @param waitTimeoutSeconds how long to wait for a GPU at most
   */
  public record Cuda(String lib, double waitTimeoutSeconds) {
    public Cuda {
      new Expect("cuda")
          .that(waitTimeoutSeconds > 0, "wait_timeout_seconds", waitTimeoutSeconds, "> 0")
          .orThrow();
    }

    /** The same as a duration. */
    public Duration waitTimeout() {
      return Duration.ofNanos((long) (waitTimeoutSeconds * 1e9));
    }
  }

  /**
   * Where the run lives.
   *
   * @param dir the folder of its config, metrics, log and checkpoints
   * @param resume whether to go on from the newest whole checkpoint of {@code dir}
   */
  public record Run(String dir, boolean resume) {
    public Run {
      new Expect("run").that(!dir.isBlank(), "dir", dir, "a folder").orThrow();
    }
  }

  /**
   * The decoder-only transformer.
   *
   * @param vocab number of tokens that the tokenizer knows
   * @param dModel width of the residual stream
   * @param heads attention heads of a layer, each {@code dModel / heads} wide
   * @param dFf width of an expert, and of the dense network of a layer without experts
   * @param seq tokens of a sequence
   * @param moeEvery every how many layers there are experts; 1 = in all
   */
  public record Model(
      int vocab,
      int dModel,
      int heads,
      int layers,
      int dFf,
      int seq,
      int moeEvery,
      Activation activation,
      double layerNormEpsilon) {
    public Model {
      new Expect("model")
          .that(vocab >= 1, "vocab", vocab, ">= 1")
          .that(dModel >= 1, "d_model", dModel, ">= 1")
          .that(heads >= 1, "heads", heads, ">= 1")
          .that(
              heads < 1 || dModel < 1 || dModel % heads == 0,
              "heads",
              heads,
              "a divisor of model.d_model = " + dModel)
          .that(layers >= 1, "layers", layers, ">= 1")
          .that(dFf >= 1, "d_ff", dFf, ">= 1")
          .that(seq >= 1, "seq", seq, ">= 1")
          .that(
              moeEvery >= 1 && moeEvery <= Math.max(1, layers),
              "moe_every",
              moeEvery,
              "from 1 to model.layers = " + layers)
          .that(layerNormEpsilon > 0, "layer_norm_epsilon", layerNormEpsilon, "> 0")
          .orThrow();
    }

    /**
     * Whether the feed-forward network of this layer is a mixture of experts; the last of every
     * {@code moeEvery} is.
     */
    public boolean isMoe(int layer) {
      return (layer + 1) % moeEvery == 0;
    }

    /** The layers with experts, in order. */
    public List<Integer> moeLayers() {
      return IntStream.range(0, layers).filter(this::isMoe).boxed().toList();
    }
  }

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
    /** Rounds that have draws of their own. */
    private static final int MAX_ROUNDS = 16;

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

    /**
     * Experts that a token is computed by, of {@code experts}: the mean where tokens differ, the
     * most where a gate may leave one out.
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
          0.01,
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

  /** Which gate routes tokens and estimates the router's gradient. */
  public enum GateType {
    SWITCH,
    SPARSEMIXER,
    SPARSEMIXER_1ST,
    SPARSEMIXER_2ND,
    SPARSEMIXER_INF,
    /** Rounds of sampling without replacement, as in GRIN and Phi-3.5-MoE. */
    SPARSEMIXER_V2,
    /** Any quadrature in place of the mid-point. */
    SPARSEMIXER_ODE,
    SOFTMAX_TOPK,
    GSHARD,
    EXPERT_CHOICE,
    BASE,
    SINKHORN,
    HASH,
    XMOE,
    DEEPSEEK_V3,
    RELU,
    /** All experts, weighted by a softmax. */
    DENSE,
    STRAIGHT_THROUGH,
    ST_GUMBEL,
    REINMAX,
    REINFORCE,
    /** Kool, Maddison and Mnih: datapoints over capacity are skipped and the others reweighted. */
    SKIP,
    /** Kool, Maddison and Mnih: perfectly balanced assignments are sampled. */
    GUMBEL_MATCHING,
    /** No gate: token t to expert t mod E, whatever the logits; for measurements. */
    BALANCED;

    /** Whether {@code gate.top_k} may be more than one. */
    public boolean hasTopK() {
      return switch (this) {
        case SPARSEMIXER_V2, SOFTMAX_TOPK, EXPERT_CHOICE, SINKHORN, XMOE, DEEPSEEK_V3, RELU -> true;
        default -> false;
      };
    }

    /** Whether every token goes to every expert, so that there is nothing to drop or to balance. */
    public boolean asksAllExperts() {
      return switch (this) {
        case DENSE, STRAIGHT_THROUGH, ST_GUMBEL, REINMAX -> true;
        default -> false;
      };
    }

    /** Whether the load-balancing loss is part of the method. */
    public boolean hasBalanceLoss() {
      return switch (this) {
        case EXPERT_CHOICE, BASE, SINKHORN, HASH, DEEPSEEK_V3, RELU, GUMBEL_MATCHING -> false;
        default -> !asksAllExperts();
      };
    }
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

  /**
   * The experts of every mixture-of-experts layer.
   *
   * @param capacityFactor tokens that an expert accepts, as a multiple of its even share; 0 = all
   *     (dropless)
   * @param minCapacity tokens that an expert accepts at least
   * @param capacityGroups experts share their room in so many groups of neighbours; 0 = each has
   *     its own
   */
  public record Experts(
      int count,
      double capacityFactor,
      int minCapacity,
      Rounding rounding,
      DropOrder drop,
      Overflow overflow,
      int capacityGroups) {
    public Experts {
      new Expect("experts")
          .that(count >= 1, "count", count, ">= 1")
          .that(capacityFactor >= 0, "capacity_factor", capacityFactor, ">= 0; 0 = dropless")
          .that(minCapacity >= 0, "min_capacity", minCapacity, ">= 0")
          .that(
              capacityGroups >= 0 && capacityGroups <= Math.max(1, count),
              "capacity_groups",
              capacityGroups,
              "from 0 to experts.count = " + count)
          .orThrow();
    }
  }

  /** How the share of an expert becomes a whole number of rows. */
  public enum Rounding {
    /** Down, and never more than there are tokens: Switch. */
    SWITCH,
    /** Up: Megatron and DeepSpeed. */
    MEGATRON,
    /** Tokens an expert up, then the factor down: torchscale. */
    TORCHSCALE
  }

  /** Who gets a place first when an expert is over capacity. */
  public enum DropOrder {
    /** The tokens in their order. */
    POSITION,
    /** The tokens in an order drawn anew. */
    SHUFFLED,
    /** The tokens that the router is surest about. */
    PROBABILITY
  }

  /** What becomes of a token whose expert has no room. */
  public enum Overflow {
    /** It passes by on the residual stream. */
    DROP,
    /** It goes to the expert it likes next best that has room. */
    NEXT
  }

  /**
   * Text.
   *
   * @param path a file, directory or glob; only read by {@link Source#TEXT}
   * @param validationFraction share of the documents that are kept from training
   */
  public record Data(Source source, String path, double validationFraction) {
    public Data {
      new Expect("data")
          .that(
              source != Source.TEXT || !path.isBlank(),
              "path",
              path,
              "a file, directory or glob for data.source = text")
          .that(
              validationFraction > 0 && validationFraction <= 0.5,
              "validation_fraction",
              validationFraction,
              "> 0 and <= 0.5")
          .orThrow();
    }
  }

  /** Where text comes from. */
  public enum Source {
    DICTIONARY,
    JDK_SOURCES,
    TEXT
  }

  /**
   * AdamW.
   *
   * @param clip largest global norm of the gradient; 0 = no limit
   */
  public record Optimizer(
      double beta1, double beta2, double epsilon, double weightDecay, double clip) {
    public Optimizer {
      new Expect("optimizer")
          .that(beta1 >= 0 && beta1 < 1, "beta1", beta1, ">= 0 and < 1")
          .that(beta2 >= 0 && beta2 < 1, "beta2", beta2, ">= 0 and < 1")
          .that(epsilon > 0, "epsilon", epsilon, "> 0")
          .that(weightDecay >= 0, "weight_decay", weightDecay, ">= 0")
          .that(clip >= 0, "clip", clip, ">= 0; 0 = no clipping")
          .orThrow();
    }
  }

  /**
   * Learning rate over steps.
   *
   * @param learningRate the highest, reached after {@code warmupSteps}
   * @param finalFraction share of {@code learningRate} at the last step of {@link
   *     ScheduleType#COSINE}
   */
  public record Schedule(
      ScheduleType type, double learningRate, int warmupSteps, double finalFraction) {
    public Schedule {
      new Expect("schedule")
          .that(learningRate > 0, "learning_rate", learningRate, "> 0")
          .that(warmupSteps >= 0, "warmup_steps", warmupSteps, ">= 0")
          .that(
              finalFraction >= 0 && finalFraction <= 1,
              "final_fraction",
              finalFraction,
              "from 0 to 1")
          .orThrow();
    }
  }

  /** The curve of the learning rate after warm-up. */
  public enum ScheduleType {
    COSINE,
    INVERSE_SQRT,
    CONSTANT
  }

  /**
   * The training loop.
   *
   * @param batch sequences of a step, over all ranks
   * @param ranks routers among which the batch is split
   * @param microBatches parts of a rank's share that are in flight at the same time
   * @param logEvery steps between two progress lines
   */
  public record Train(int steps, int batch, int ranks, int microBatches, int logEvery) {
    public Train {
      new Expect("train")
          .that(steps >= 1, "steps", steps, ">= 1")
          .that(batch >= 1, "batch", batch, ">= 1")
          .that(ranks >= 1, "ranks", ranks, ">= 1")
          .that(microBatches >= 1, "micro_batches", microBatches, ">= 1")
          .that(logEvery >= 1, "log_every", logEvery, ">= 1")
          .orThrow();
    }
  }

  /**
   * Validation.
   *
   * @param every steps between two; 0 = never
   * @param batches batches of {@code train.batch} sequences that one looks at
   */
  public record Evaluate(int every, int batches) {
    public Evaluate {
      new Expect("evaluate")
          .that(every >= 0, "every", every, ">= 0; 0 = never")
          .that(batches >= 1, "batches", batches, ">= 1")
          .orThrow();
    }
  }

  /**
   * What is generated at the end of training.
   *
   * @param tokens most tokens after a prompt
   * @param temperature divisor of the logits; 0 = always the likeliest token
   * @param topK tokens to draw from; 0 = all
   */
  public record Generate(List<String> prompts, int tokens, double temperature, int topK) {
    public Generate {
      prompts = List.copyOf(prompts);
      new Expect("generate")
          .that(tokens >= 1, "tokens", tokens, ">= 1")
          .that(temperature >= 0, "temperature", temperature, ">= 0; 0 = greedy")
          .that(topK >= 0, "top_k", topK, ">= 0; 0 = all tokens")
          .orThrow();
    }
  }

  /**
   * Checkpoints.
   *
   * @param every steps between two; 0 = only at the end
   * @param keep how many of the newest stay on disk
   */
  public record Checkpoint(int every, int keep) {
    public Checkpoint {
      new Expect("checkpoint")
          .that(every >= 0, "every", every, ">= 0; 0 = only at the end")
          .that(keep >= 1, "keep", keep, ">= 1")
          .orThrow();
    }
  }

  /**
   * This node among others.
   *
   * @param threads compute threads; 0 = as many as there are cores
   * @param replyTimeoutSeconds the longest that anyone waits for an answer before asking again;
   *     waits are shorter where steps are
   * @param nodes how many nodes have to be there before training begins
   * @param name what people call this node; empty = its address
   * @param host the address under which other nodes reach this one
   * @param port of control messages; 0 = any free one
   * @param dataPort of token batches over UDP; 0 = any free one
   * @param seeds nodes to join, each {@code HOST:PORT}; empty = this node alone begins the run
   * @param joinTimeoutSeconds how long a node tries to join, and how long training waits for nodes
   * @param tlsDirectory folder with {@code ca.crt}, {@code node.crt} and {@code node.key} for
   *     control messages under mutual TLS; empty = in clear
   */
  public record Cluster(
      int threads,
      double replyTimeoutSeconds,
      int nodes,
      String name,
      String host,
      int port,
      int dataPort,
      List<String> seeds,
      double joinTimeoutSeconds,
      String tlsDirectory) {
    private static final int MAX_PORT = 65535;

    public Cluster {
      seeds = List.copyOf(seeds);
      Expect expect =
          new Expect("cluster")
              .that(threads >= 0, "threads", threads, ">= 0; 0 = all cores")
              .that(replyTimeoutSeconds > 0, "reply_timeout_seconds", replyTimeoutSeconds, "> 0")
              .that(nodes >= 1, "nodes", nodes, ">= 1")
              .that(!host.isBlank(), "host", host, "an address that other nodes reach")
              .that(port >= 0 && port <= MAX_PORT, "port", port, "from 0 to 65535; 0 = any")
              .that(
                  dataPort >= 0 && dataPort <= MAX_PORT,
                  "data_port",
                  dataPort,
                  "from 0 to 65535; 0 = any")
              .that(joinTimeoutSeconds > 0, "join_timeout_seconds", joinTimeoutSeconds, "> 0");
      for (String seed : seeds) {
        expect.that(seed.matches(".+:[0-9]{1,5}"), "seeds", seed, "HOST:PORT");
      }
      expect.orThrow();
    }
  }

  /**
   * Where experts and ranks live.
   *
   * @param rebalance whether hot experts move by themselves
   * @param maxImbalance load of the busiest node over the mean above which they do
   * @param patienceSteps steps in a row that have to be above
   */
  public record Placement(Rebalance rebalance, double maxImbalance, int patienceSteps) {
    public Placement {
      new Expect("placement")
          .that(maxImbalance >= 1, "max_imbalance", maxImbalance, ">= 1")
          .that(patienceSteps >= 1, "patience_steps", patienceSteps, ">= 1")
          .orThrow();
    }
  }

  /** What makes experts move, other than nodes that come and go. */
  public enum Rebalance {
    NONE,
    LOAD
  }

  /**
   * Copies of the state in the memory of other nodes.
   *
   * @param every most steps that a lost node costs; 0 = no copies, a lost node costs all since the
   *     last checkpoint
   * @param copies nodes that hold a copy beside the owner; 0 = as many as a majority can lose, two
   *     at most
   */
  public record Replicate(int every, int copies) {
    public Replicate {
      new Expect("replicate")
          .that(every >= 0, "every", every, ">= 0; 0 = no copies")
          .that(copies >= 0, "copies", copies, ">= 0; 0 = as many as a majority can lose")
          .orThrow();
    }
  }

  /**
   * The data plane.
   *
   * @param directory of Aeron's files, best in memory; empty = one of its own under /dev/shm
   * @param mtuBytes largest datagram of {@link Mode#UDP}
   * @param termBytes a third of the buffer of each stream
   */
  public record Transport(Mode mode, String directory, int mtuBytes, int termBytes) {
    private static final int MAX_UDP_PAYLOAD = 65504;
    private static final int MIN_MTU = 1152;
    private static final int FRAME_ALIGNMENT = 32;
    private static final int MIN_TERM = 64 << 10;
    private static final int MAX_TERM = 1 << 30;

    public Transport {
      new Expect("transport")
          .that(
              mtuBytes >= MIN_MTU && mtuBytes <= MAX_UDP_PAYLOAD && mtuBytes % FRAME_ALIGNMENT == 0,
              "mtu_bytes",
              mtuBytes,
              "a multiple of 32 from 1152 to 65504")
          .that(
              termBytes >= MIN_TERM && termBytes <= MAX_TERM && Integer.bitCount(termBytes) == 1,
              "term_bytes",
              termBytes,
              "a power of two from 65536 to 1073741824")
          .orThrow();
    }
  }

  /** The way token batches travel; {@code AUTO} is the fastest that two ends have in common. */
  public enum Mode {
    AUTO,
    IPC,
    UDP
  }

  /**
   * Faults to inject, each once.
   *
   * @param expertThrows experts that throw, each written as {@link Fault#parse} reads it
   */
  public record Faults(List<String> expertThrows) {
    public Faults {
      expertThrows = List.copyOf(expertThrows);
      expertThrows.forEach(Fault::parse);
    }
  }

  /**
   * What {@code troupe simulate} asks.
   *
   * @param tokens of a step over all ranks
   * @param steps steps; of a trace at most so many, 0 = all it has
   * @param ranks routers that share the tokens; 0 = one for each lane of each device
   * @param group tokens that are routed together, of which capacity is a share; 0 = the tokens of a
   *     rank, within bounds
   * @param zipf exponent of the experts' popularity
   * @param drift share of the experts that change their rank in popularity from step to step
   * @param correlation probability that a token shares the preferences of its passage
   * @param passage tokens of a passage
   * @param sharpness factor on all logits
   * @param trace folder of a run that was trained with {@code gate.trace}; empty = drawn tokens
   * @param factors capacity factors to compare; 0 = dropless
   * @param routers gates to compare, by their names; empty = {@code gate.type}
   */
  public record Simulate(
      int tokens,
      int steps,
      int ranks,
      int group,
      double zipf,
      double drift,
      double correlation,
      int passage,
      double sharpness,
      String trace,
      List<Double> factors,
      List<String> routers,
      SimulatedCluster cluster) {
    public Simulate {
      factors = List.copyOf(factors);
      routers = List.copyOf(routers);
      Expect expect =
          new Expect("simulate")
              .that(tokens >= 1, "tokens", tokens, ">= 1")
              .that(steps >= 0, "steps", steps, ">= 0; 0 = as many as the trace has")
              .that(steps >= 1 || !trace.isBlank(), "steps", steps, ">= 1 without simulate.trace")
              .that(ranks >= 0, "ranks", ranks, ">= 0; 0 = one for each lane of each device")
              .that(group >= 0, "group", group, ">= 0; 0 = the tokens of a rank")
              .that(zipf >= 0, "zipf", zipf, ">= 0; 0 = all experts alike")
              .that(drift >= 0 && drift <= 1, "drift", drift, "from 0 to 1")
              .that(correlation >= 0 && correlation <= 1, "correlation", correlation, "from 0 to 1")
              .that(passage >= 1, "passage", passage, ">= 1")
              .that(sharpness > 0, "sharpness", sharpness, "> 0")
              .that(!factors.isEmpty(), "factors", factors, "at least one, such as [1.0, 1.25]");
      for (double factor : factors) {
        expect.that(factor >= 0, "factors", factor, ">= 0; 0 = dropless");
      }
      for (String router : routers) {
        expect.that(
            Keys.value(GateType.class, router).isPresent(),
            "routers",
            router,
            "one of " + Keys.names(GateType.class));
      }
      expect.orThrow();
    }

    /** The gates to compare. */
    public List<GateType> routersOr(GateType type) {
      return routers.isEmpty()
          ? List.of(type)
          : routers.stream()
              .map(name -> (GateType) Keys.value(GateType.class, name).orElseThrow())
              .toList();
    }
  }

  /**
   * The machines of a simulation, all alike.
   *
   * @param nodes machines
   * @param devices of a node
   * @param lanes threads of a device that compute side by side, such as the cores of a CPU
   * @param expertsOn how experts are spread over devices
   * @param elementBytes of an activation that travels
   * @param measure whether the speeds below are measured on this machine instead
   * @param expertFlops of an expert's matrix products in a second, on one lane
   * @param batchSeconds what each batch costs an expert beside its rows, forward or backward
   * @param trunkFlops of the trunk's matrix products in a second, on one lane
   * @param gateSeconds what a gate costs for one logit, forward and backward
   * @param memoryBandwidth of a lane, bytes read and written in a second
   * @param controlSeconds what coordination costs a step
   * @param linkBandwidth of a device to others of its node, bytes a second in each direction
   * @param linkLatency seconds of an exchange within a node
   * @param networkBandwidth of a node to others, bytes a second in each direction
   * @param networkLatency seconds of an exchange between nodes
   * @param memoryBytes of a device; 0 = not looked at
   */
  public record SimulatedCluster(
      int nodes,
      int devices,
      int lanes,
      ExpertsOn expertsOn,
      int elementBytes,
      boolean measure,
      double expertFlops,
      double batchSeconds,
      double trunkFlops,
      double gateSeconds,
      double memoryBandwidth,
      double controlSeconds,
      double linkBandwidth,
      double linkLatency,
      double networkBandwidth,
      double networkLatency,
      long memoryBytes) {
    private static final int MOST_DEVICES = 1 << 20;

    public SimulatedCluster {
      new Expect("simulate.cluster")
          .that(nodes >= 1, "nodes", nodes, ">= 1")
          .that(devices >= 1, "devices", devices, ">= 1")
          .that(
              (long) nodes * devices <= MOST_DEVICES,
              "devices",
              devices,
              "nodes * devices <= " + MOST_DEVICES)
          .that(lanes >= 1, "lanes", lanes, ">= 1")
          .that(elementBytes >= 1, "element_bytes", elementBytes, ">= 1")
          .that(expertFlops > 0, "expert_flops", expertFlops, "> 0")
          .that(batchSeconds >= 0, "batch_seconds", batchSeconds, ">= 0")
          .that(trunkFlops > 0, "trunk_flops", trunkFlops, "> 0")
          .that(gateSeconds >= 0, "gate_seconds", gateSeconds, ">= 0")
          .that(memoryBandwidth > 0, "memory_bandwidth", memoryBandwidth, "> 0")
          .that(controlSeconds >= 0, "control_seconds", controlSeconds, ">= 0")
          .that(linkBandwidth > 0, "link_bandwidth", linkBandwidth, "> 0")
          .that(linkLatency >= 0, "link_latency", linkLatency, ">= 0")
          .that(networkBandwidth > 0, "network_bandwidth", networkBandwidth, "> 0")
          .that(networkLatency >= 0, "network_latency", networkLatency, ">= 0")
          .that(memoryBytes >= 0, "memory_bytes", memoryBytes, ">= 0; 0 = not looked at")
          .orThrow();
    }

    /** Devices of all nodes. */
    public int allDevices() {
      return nodes * devices;
    }
  }

  /** How experts are spread over devices. */
  public enum ExpertsOn {
    /** Neighbours together: expert e on device {@code e * devices / experts}. */
    CONTIGUOUS,
    /** One after the other: expert e on device {@code e mod devices}. */
    STRIDED
  }

  /**
   * An experiment of {@code troupe lab}.
   *
   * @param seeds estimators: random problems; toy and ablation: runs of each method, with seeds
   *     from {@code seed} on
   * @param parallel runs of an ablation side by side, each in a process of its own with {@code
   *     cluster.threads}
   * @param arms what toy and ablation compare, each {@code NAME: KEY=VALUE KEY=VALUE ...}
   */
  public record Lab(
      LabKind kind,
      int seeds,
      int parallel,
      List<String> arms,
      LabEstimators estimators,
      LabToy toy) {
    public Lab {
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
