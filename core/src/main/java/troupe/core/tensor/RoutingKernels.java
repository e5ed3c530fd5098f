package troupe.core.tensor;

import java.util.List;

/**
 * The gate's work on a whole layer where tokens stay on the device: of what a gate decides, the
 * host learns only how many rows each expert gets, and sums. The mathematics is that of {@code
 * troupe.router.gate}; the same draws lead to the same decisions.
 */
public interface RoutingKernels {
  /** Most experts of a layer. */
  int MAX_EXPERTS = 1024;

  /** Most experts of a token. */
  int MAX_SLOTS = 32;

  /** How a gate chooses. */
  enum Choice {
    /** The best expert, after jitter of the logits: Switch. */
    SWITCH,
    /** A sample from a masked softmax: SparseMixer. */
    SPARSE_MIXER,
    /** The same sample at weight one, for estimators of the score function. */
    SAMPLE,
    /** Rounds of SparseMixer, each without the experts chosen before: SparseMixer-v2. */
    ROUNDS,
    /** The best experts, which share by their probabilities: Mixtral. */
    BEST,
    /** The best experts by score and bias, out of the best groups: DeepSeek-V3. */
    BIASED,
    /** The best expert, and a second one that may be left out: GShard. */
    PAIR,
    /** The expert that a table has for the token's number in the vocabulary: hash layers. */
    TABLE,
    /** Slot s to expert s mod E with weight one: a forced even load, for benchmarks. */
    BALANCED
  }

  /** Which experts a token may reach. */
  enum Mask {
    /** All. */
    NONE,
    /** The rule of the authors' code. */
    CODE,
    /** The rule of the paper. */
    PAPER
  }

  /**
   * The detached scale of an expert's output in training: one, or the node of a quadrature that a
   * draw stands for.
   *
   * @param fullBest whether it is always one for the best expert
   * @param evenly whether it is one or a node, evenly; else always a node
   * @param nodes at most 99; none stand for all scales, U(0, 1)
   * @param upTo the weights of each node and those before it, summed
   */
  record Scale(boolean fullBest, boolean evenly, List<Double> nodes, List<Double> upTo) {
    /** One. */
    public static final Scale FULL = new Scale(false, false, List.of(1.0), List.of(1.0));

    /** Copies both lists. */
    public Scale {
      nodes = List.copyOf(nodes);
      upTo = List.copyOf(upTo);
    }
  }

  /** What turns logits into scores. */
  enum Score {
    /** A softmax; an expert weighs its probability. */
    SOFTMAX,
    /** Sigmoids; an expert weighs its own over the sum of those chosen. */
    SIGMOID
  }

  /**
   * What experts are compared by where logits alone do not decide, and what they weigh.
   *
   * @param groups groups of neighbours, which divide the experts evenly
   * @param topGroups how many of them a token may reach: those with the largest sums of their two
   *     best experts
   * @param factor on all weights
   */
  record Scores(Score score, int groups, int topGroups, double factor) {
    /** Of all experts, as they are. */
    public static final Scores PLAIN = new Scores(Score.SOFTMAX, 1, 1, 1);
  }

  /** How {@link Choice#PAIR} takes the second expert in training; else it is the second best. */
  enum Second {
    /** The second best. */
    BEST,
    /** A sample from the softmax of the others. */
    SAMPLED,
    /** The second best, if twice its weight exceeds a draw. */
    RANDOM,
    /** The second best, if a draw is below five times its share of both. */
    THRESHOLD
  }

  /**
   * Two experts of a token.
   *
   * @param placed whether they share the output by their probabilities once it is known which of
   *     them have room, or before
   */
  record Pair(Second second, boolean placed) {
    /** The two best, for gates that are not about pairs. */
    public static final Pair BEST = new Pair(Second.BEST, false);
  }

  /**
   * A gate.
   *
   * @param k slots of each token, best first: at most {@link #MAX_SLOTS}, one for {@link
   *     Choice#SWITCH}, {@link Choice#SPARSE_MIXER} and {@link Choice#SAMPLE}
   * @param epsilon width of the mask, or half width of the jitter of logits
   * @param gradientFactor kappa, the factor on the gradient of sampled experts' logits in training
   * @param scores of {@link Choice#BIASED}; all others that do not sample take its factor alone
   * @param pair of {@link Choice#PAIR}
   */
  record Gate(
      Choice choice,
      int k,
      Mask mask,
      Scale scale,
      double epsilon,
      double gradientFactor,
      Scores scores,
      Pair pair) {}

  /**
   * What a gate decides by.
   *
   * @param logits_TE of type {@link Device#dtype}; the routing keeps it, and closes it
   * @param ids_T the vocabulary's number of each token; {@code null} but for {@link Choice#TABLE}
   * @param state of the type of the logits: what {@link Choice#BIASED} adds to scores, {@code null}
   *     for nothing, or the expert that {@link Choice#TABLE} has for each number; else nobody looks
   */
  record Input(Tensor logits_TE, int[] ids_T, Tensor state) {
    /** Logits alone. */
    public static Input of(Tensor logits_TE) {
      return new Input(logits_TE, null, null);
    }
  }

  /**
   * What random draws depend on beside token and purpose; the counter layout is that of the
   * router's {@code CounterDraws}.
   */
  record DrawKey(long seed, long step, int layer, long firstToken) {}

  /**
   * Room of an expert.
   *
   * @param rows rows that an expert takes at most
   * @param shuffled whether places are given out in drawn order instead of the tokens' order
   */
  record Room(int rows, boolean shuffled) {}

  /** What the host learns of a routing. */
  interface Summary {
    /** First row of each expert, and the number of rows at the end; after dropping. */
    int[] offset_E1();

    /** Slots that chose each expert, before dropping. */
    int[] routed_E();

    /**
     * Tokens whose first choice each expert was, before dropping: of {@link Choice#PAIR}; else
     * empty.
     */
    int[] first_E();

    /** Probabilities summed over tokens. */
    double[] sumP_E();

    /** Squared log-sum-exp summed over tokens. */
    double sumZ();

    /** Tokens with more than one expert kept by the mask, that of the first round. */
    int alive();

    /** Token and expert of the first logit that is not finite, or {@code null}. */
    int[] firstNonFinite_2();

    /** The value of that logit. */
    float nonFinite();
  }

  /** A routing on the device. */
  interface Routed extends AutoCloseable {
    /** Waits for the device, the first time. */
    Summary summary();

    @Override
    void close();
  }

  /**
   * Chooses experts and sorts rows by expert, those of an expert in token order. A slot is a
   * token's claim on an expert; where room is short, first choices go before second ones.
   *
   * @param key may be {@code null} where {@code training} is false
   */
  Routed route(Input input, Gate gate, DrawKey key, Room room, boolean training);

  /**
   * {@code jittered = h * u}, {@code factor = u} with the input noise of the Switch Transformer.
   */
  void inputJitter(Tensor jittered_TD, Tensor factor_TD, Tensor h_TD, double epsilon, DrawKey key);

  /** {@code sent[r] = h[token of row r]}; a token has a row for each of its slots with room. */
  void dispatch(Tensor sent_RD, Tensor h_TD, Routed routed);

  /**
   * {@code x[t] = mid[t] + sum of multiplier[s] * omega * y[row of s]} over the slots s of token t
   * that have room.
   *
   * @param y_E the rows of each expert
   * @param omega_1D {@code null} stands for ones
   */
  void combine(Tensor x_TD, Tensor mid_TD, Tensor[] y_E, Routed routed, Tensor omega_1D);

  /**
   * {@code dY = multiplier * omega * g}, {@code dOmega += ...}; the routing keeps {@code s} for
   * {@link #logitsGradient}.
   */
  void combineBackward(
      Tensor dY_RD, Tensor dOmega_1D, Tensor dX_TD, Tensor[] y_E, Routed routed, Tensor omega_1D);

  /**
   * {@code dLogits = } the estimator's gradient, that of the balance loss and of the z-loss.
   *
   * @param advantage_T what a choice by itself adds to the loss, token by token, so that {@code
   *     dLogits_j += advantage (1[j = D] - p_j)} for gates of one expert D; {@code null} for
   *     nothing
   * @param load_E share of the tokens of the global batch that chose each expert
   * @param balanceFactor coefficient * experts / tokens of the global batch
   * @param zFactor 2 * coefficient / tokens of the global batch
   */
  void logitsGradient(
      Tensor dLogits_TE,
      Routed routed,
      double[] advantage_T,
      double[] load_E,
      double balanceFactor,
      double zFactor);

  /**
   * {@code dH[t] += sum of dIn[row of s]} over the slots s of token t: the backward pass of {@link
   * #dispatch}.
   */
  void dispatchBackward(Tensor dH_TD, Tensor[] dIn_E, Routed routed);
}
