package troupe.core.config;

import java.util.List;
import troupe.core.tensor.Activation;

/**
 * Everything that decides what a run computes and where it keeps its files. Built from HOCON; keys are the component names
 * in snake case ({@code train.micro_batches}). What each value means and why it has its default stands beside it in
 * {@code configs/defaults.conf}.
 */
public record RunConfig(
    Run run,
    long seed,
    String device,
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
    Transport transport,
    Faults faults) {

  /** Where the run lives. */
  public record Run(String dir, boolean resume) {}

  /** The decoder-only transformer. */
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
    /** Whether the feed-forward network of this layer is a mixture of experts; the last of every {@code moeEvery} is. */
    public boolean isMoe(int layer) {
      return (layer + 1) % moeEvery == 0;
    }
  }

  /** Gate and gradient estimator. */
  public record GateConfig(
      GateType type,
      boolean omega,
      double jitter,
      JitterOn jitterOn,
      Mask mask,
      double balanceCoefficient,
      double zCoefficient) {}

  /** Which gate routes tokens and estimates the router's gradient. */
  public enum GateType {
    SWITCH,
    SPARSEMIXER,
    SPARSEMIXER_1ST,
    SPARSEMIXER_2ND,
    SPARSEMIXER_INF
  }

  /** What the jitter of the Switch gate multiplies. */
  public enum JitterOn {
    LOGITS,
    INPUT
  }

  /** Which experts a token may reach (spec 2.1). */
  public enum Mask {
    CODE,
    PAPER,
    NONE
  }

  /** The experts of every mixture-of-experts layer. */
  public record Experts(int count, double capacityFactor, int minCapacity, DropOrder drop) {}

  /** Which tokens lose when an expert is over capacity. */
  public enum DropOrder {
    POSITION,
    SHUFFLED
  }

  /** Text. */
  public record Data(Source source, String path, double validationFraction) {}

  /** Where text comes from. */
  public enum Source {
    DICTIONARY,
    JDK_SOURCES,
    TEXT
  }

  /** AdamW. */
  public record Optimizer(
      double beta1, double beta2, double epsilon, double weightDecay, double clip) {}

  /** Learning rate over steps. */
  public record Schedule(ScheduleType type, double learningRate, int warmupSteps, double finalFraction) {}

  /** The curve of the learning rate after warm-up. */
  public enum ScheduleType {
    COSINE,
    INVERSE_SQRT,
    CONSTANT
  }

  /** The training loop. {@code batch} counts sequences of a step over all ranks. */
  public record Train(int steps, int batch, int ranks, int microBatches, int logEvery) {}

  /** Validation. */
  public record Evaluate(int every, int batches) {}

  /** What is generated at the end of training. */
  public record Generate(List<String> prompts, int tokens, double temperature, int topK) {}

  /** Checkpoints. */
  public record Checkpoint(int every, int keep) {}

  /** This process among others. */
  public record Cluster(int threads, double replyTimeoutSeconds) {}

  /** The data plane. */
  public record Transport(Mode mode, String directory, int mtuBytes, int termBytes) {}

  /** The way token batches travel. */
  public enum Mode {
    INPROCESS,
    IPC,
    UDP
  }

  /**
   * Faults to inject, each once: {@code STEP:LAYER/EXPERT:PHASE}, the phase being forward, backward or apply.
   */
  public record Faults(List<String> expertThrows) {}
}
