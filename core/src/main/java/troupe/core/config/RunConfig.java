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
    SimulateConfig simulate,
    LabConfig lab) {

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
                "a multiple of ranks * micro_batches = " + parts);
    gate.check(expect, experts);
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
   * @param maxImbalance what layers take over the least that they can, above which they do
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
   * @param termBytes a third of the buffer between two nodes; several threads share a quarter of it
   * @param threads that send and receive, each with streams of its own; 0 = as many as there are
   *     cores to spare
   */
  public record Transport(Mode mode, String directory, int mtuBytes, int termBytes, int threads) {
    private static final int MAX_UDP_PAYLOAD = 65504;
    private static final int MIN_MTU = 1152;
    private static final int FRAME_ALIGNMENT = 32;
    private static final int MIN_TERM = 64 << 10;
    private static final int MAX_TERM = 1 << 30;
    private static final int MAX_THREADS = 64;

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
          .that(
              threads >= 0 && threads <= MAX_THREADS,
              "threads",
              threads,
              "1 to " + MAX_THREADS + "; 0 = as many as there are cores to spare")
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
}
