package troupe.router.gate;

import java.util.List;
import troupe.core.config.GateConfig;
import troupe.core.config.GateConfig.JitterOn;
import troupe.core.config.GateType;
import troupe.core.config.RunConfig;
import troupe.core.tensor.RoutingKernels;
import troupe.core.tensor.RoutingKernels.Choice;
import troupe.core.tensor.RoutingKernels.Pair;
import troupe.core.tensor.RoutingKernels.Scale;
import troupe.core.tensor.RoutingKernels.Score;
import troupe.core.tensor.RoutingKernels.Scores;
import troupe.core.tensor.RoutingKernels.Second;

/** Gates by their names in a config. */
public final class Gates {
  private Gates() {}

  /**
   * The gate that a config describes. {@code jitter} is the noise of the Switch gate and the width
   * of the mask of SparseMixer and of all that sample as it does; the Switch gate has no mask,
   * SparseMixer no noise.
   */
  public static Gate of(GateConfig config) {
    return switch (config.type()) {
      case SWITCH ->
          new SwitchGate(
              config.jitterOn() == JitterOn.LOGITS ? new Jitter(config.jitter()) : Jitter.NONE);
      case SPARSEMIXER, SPARSEMIXER_2ND, SPARSEMIXER_INF, SPARSEMIXER_ODE ->
          sparseMixer(config, scale(config));
      // Makes no draws.
      case SPARSEMIXER_1ST -> sparseMixer(config, ScaleRule.FIRST_ORDER);
      case BALANCED -> new BalancedGate(config.topK());
      case SPARSEMIXER_V2 -> new GrinGate(mask(config), scale(config), config.topK());
      case DENSE -> new DenseGate();
      case STRAIGHT_THROUGH -> new StraightThroughGate(mask(config), Surrogate.PLAIN);
      case ST_GUMBEL ->
          new StraightThroughGate(mask(config), Surrogate.gumbel(config.temperature()));
      case REINMAX ->
          new StraightThroughGate(mask(config), Surrogate.reinMax(config.temperature()));
      case REINFORCE ->
          new ReinforceGate(
              mask(config), LossBaseline.of(config.reinforce()), config.reinforce().gated());
      case SOFTMAX_TOPK -> new SoftmaxTopKGate(config.topK());
      case GSHARD -> new GshardGate(config.gshard());
      case HASH -> new HashGate();
      // What tells XMoE from these is how its logits are made.
      case XMOE ->
          config.topK() == 1 ? new SwitchGate(Jitter.NONE) : new SoftmaxTopKGate(config.topK());
      case DEEPSEEK_V3 -> new DeepseekGate(config.deepseek(), config.topK());
      case RELU -> new ReluGate(config.relu(), config.topK());
      case EXPERT_CHOICE -> new ExpertChoiceGate(config.topK(), config.expertChoice().softmax());
      case BASE -> new BaseGate();
      case SINKHORN -> new SinkhornGate(config.topK(), config.sinkhorn());
      case SKIP -> new SkipGate(LossBaseline.of(config.reinforce()), config.reinforce().gated());
      case GUMBEL_MATCHING ->
          new GumbelMatchingGate(LossBaseline.of(config.reinforce()), config.reinforce().gated());
    };
  }

  /** What is worth saying once, before a run with this gate begins; a line each. */
  public static List<String> warnings(RunConfig config) {
    RunConfig.Train train = config.train();
    int experts = config.experts().count();
    long tokens =
        (long) train.batch() * config.model().seq() / train.ranks() / train.microBatches();
    if (config.gate().type() == GateType.GUMBEL_MATCHING && experts > 1 && tokens < 2L * experts) {
      return List.of(
          ("gate.type: gumbel-matching with %d tokens a micro-batch for %d experts (expected: >= 2 an"
                  + " expert; with room for one the variance of its gradient is infinite); HINT: less"
                  + " experts, ranks or micro-batches, or gate.type = skip")
              .formatted(tokens, experts));
    }
    return List.of();
  }

  /** The noise on the router's input that goes with the gate: none except for Switch on input. */
  public static Jitter inputJitter(GateConfig config) {
    boolean onInput = config.type() == GateType.SWITCH && config.jitterOn() == JitterOn.INPUT;
    return onInput ? new Jitter(config.jitter()) : Jitter.NONE;
  }

  /** The same gate for a device that routes, or {@code null} if only the host has it. */
  public static RoutingKernels.Gate onDevice(GateConfig config) {
    int k = config.topK();
    return switch (config.type()) {
      case SWITCH ->
          new RoutingKernels.Gate(
              Choice.SWITCH,
              1,
              RoutingKernels.Mask.NONE,
              Scale.FULL,
              config.jitterOn() == JitterOn.LOGITS ? config.jitter() : 0,
              1,
              Scores.PLAIN,
              Pair.BEST);
      case SPARSEMIXER, SPARSEMIXER_1ST, SPARSEMIXER_2ND, SPARSEMIXER_INF, SPARSEMIXER_ODE ->
          sampledOnDevice(
              config,
              Choice.SPARSE_MIXER,
              1,
              scale(config).onDevice(),
              SparseMixerGate.TRAINING_GRADIENT_FACTOR);
      case SPARSEMIXER_V2 -> sampledOnDevice(config, Choice.ROUNDS, k, scale(config).onDevice(), 1);
      case REINFORCE ->
          config.reinforce().gated()
              ? sampledOnDevice(config, Choice.SPARSE_MIXER, 1, Scale.FULL, 1)
              : sampledOnDevice(config, Choice.SAMPLE, 1, Scale.FULL, 0);
      case SOFTMAX_TOPK -> plainOnDevice(Choice.BEST, k, Scores.PLAIN);
      case XMOE -> plainOnDevice(k == 1 ? Choice.SWITCH : Choice.BEST, k, Scores.PLAIN);
      case GSHARD ->
          new RoutingKernels.Gate(
              Choice.PAIR,
              2,
              RoutingKernels.Mask.NONE,
              Scale.FULL,
              0,
              1,
              Scores.PLAIN,
              pair(config.gshard()));
      case DEEPSEEK_V3 -> plainOnDevice(Choice.BIASED, k, scores(config.deepseek()));
      case HASH -> plainOnDevice(Choice.TABLE, 1, Scores.PLAIN);
      case BALANCED -> plainOnDevice(Choice.BALANCED, k, new Scores(Score.SOFTMAX, 1, 1, k));
      default -> null;
    };
  }

  private static Scores scores(GateConfig.Deepseek config) {
    Score score =
        switch (config.score()) {
          case SIGMOID -> Score.SIGMOID;
          case SOFTMAX -> Score.SOFTMAX;
        };
    return new Scores(score, config.groups(), config.topGroups(), config.scale());
  }

  private static Pair pair(GateConfig.Gshard config) {
    Second second =
        switch (config.second()) {
          case BEST -> Second.BEST;
          case SAMPLED -> Second.SAMPLED;
          case RANDOM -> Second.RANDOM;
          case THRESHOLD -> Second.THRESHOLD;
        };
    return new Pair(second, config.normalise() == GateConfig.Normalise.AFTER_DROP);
  }

  private static RoutingKernels.Gate plainOnDevice(Choice choice, int k, Scores scores) {
    return new RoutingKernels.Gate(
        choice, k, RoutingKernels.Mask.NONE, Scale.FULL, 0, 1, scores, Pair.BEST);
  }

  private static RoutingKernels.Gate sampledOnDevice(
      GateConfig config, Choice choice, int k, Scale scale, double factor) {
    RoutingKernels.Mask mask =
        switch (config.mask()) {
          case CODE -> RoutingKernels.Mask.CODE;
          case PAPER -> RoutingKernels.Mask.PAPER;
          case NONE -> RoutingKernels.Mask.NONE;
        };
    return new RoutingKernels.Gate(
        choice, k, mask, scale, config.jitter(), factor, Scores.PLAIN, Pair.BEST);
  }

  private static QuadratureScale scale(GateConfig config) {
    boolean fullBest = config.ode().fullBest();
    return switch (config.type()) {
      case SPARSEMIXER -> QuadratureScale.BALANCED;
      case SPARSEMIXER_1ST -> QuadratureScale.nabla0(Quadrature.EULER, false);
      case SPARSEMIXER_2ND -> QuadratureScale.MIDPOINT;
      case SPARSEMIXER_INF -> QuadratureScale.INTEGRAL;
      case SPARSEMIXER_ODE -> QuadratureScale.total(Quadrature.of(config.ode().rule()), fullBest);
      case SPARSEMIXER_V2 -> QuadratureScale.nabla0(Quadrature.of(config.ode().rule()), fullBest);
      default -> throw new IllegalArgumentException("gate without a scale: " + config.type());
    };
  }

  private static Gate sparseMixer(GateConfig config, ScaleRule scaleRule) {
    return new SparseMixerGate(mask(config), scaleRule, SparseMixerGate.TRAINING_GRADIENT_FACTOR);
  }

  private static MaskRule mask(GateConfig config) {
    return MaskRule.of(config.mask(), config.jitter());
  }
}
