package troupe.coordinator.simulate;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.LongStream;
import troupe.core.config.RunConfig;
import troupe.core.config.SimulateConfig;
import troupe.core.data.TokenCounts;
import troupe.core.random.Philox;
import troupe.router.gate.CounterDraws;

/**
 * Tokens whose router logits are drawn:
 *
 * <pre>  logit_te = sharpness * (ln w_e + g_te)</pre>
 *
 * with w the {@link Popularity} of the step and g {@link GumbelRow Gumbel noise}: the token's own,
 * or with probability {@code correlation} that of its passage. Either way a token's best expert is
 * e with probability w_e / sum w; correlation only makes neighbours agree.
 *
 * <p>One layer is drawn and stands for all: layers of the same law differ by luck alone.
 */
final class DrawnTokens implements Tokens {
  /** Rows of logits that fit into a gate's arrays many times over. */
  private static final int MOST_LOGITS = 1 << 23;

  private static final int MOST_TOKENS = 1 << 14;

  /** Enough to see drift and spread. */
  private static final int STEPS_UNASKED = 8;

  /** Some ten seconds of two cores: whoever wants more of them says so. */
  private static final long LOGITS_UNASKED = 1L << 30;

  private static final int SHARES = 0x12;
  private static final int IDS = 0x13;

  private final RunConfig config;
  private final SimulateConfig simulate;
  private final int experts;
  private final List<Group> groups = new ArrayList<>();
  private final double[][] logWeight_SE;
  private final ThreadLocal<Scratch> scratch;

  /** What a thread draws with. */
  private static final class Scratch {
    private final GumbelRow row;
    private final float[] noise_E;
    private final float[] passageNoise_E;
    private final int[] block = new int[4];

    Scratch(long seed, int experts) {
      row = new GumbelRow(seed, experts);
      noise_E = new float[experts];
      passageNoise_E = new float[experts];
    }
  }

  DrawnTokens(RunConfig config, int ranks) {
    this.config = config;
    this.simulate = config.simulate();
    this.experts = config.experts().count();
    int size = groupSize(config, ranks);
    for (int from = 0; from < simulate.tokens(); from += Math.min(size, simulate.tokens() - from)) {
      groups.add(new Group(0, from, Math.min(size, simulate.tokens() - from)));
    }
    Popularity popularity =
        new Popularity(config.seed(), experts, simulate.zipf(), simulate.drift());
    this.logWeight_SE = new double[steps(config)][];
    for (int step = 0; step < logWeight_SE.length; step++) {
      popularity.advance(step);
      boolean same = step > 0 && simulate.drift() == 0;
      logWeight_SE[step] = same ? logWeight_SE[0] : popularity.logWeight_E();
    }
    this.scratch = ThreadLocal.withInitial(() -> new Scratch(config.seed(), experts));
  }

  /** Steps that are drawn. */
  static int steps(RunConfig config) {
    int asked = config.simulate().steps();
    long logits = (long) config.simulate().tokens() * config.experts().count();
    return asked > 0 ? asked : Math.clamp(LOGITS_UNASKED / logits, 1, STEPS_UNASKED);
  }

  /** Tokens that are routed together. */
  static int groupSize(RunConfig config, int ranks) {
    SimulateConfig simulate = config.simulate();
    if (simulate.group() > 0) {
      return Math.min(simulate.group(), simulate.tokens());
    }
    int ofRank = Math.ceilDiv(simulate.tokens(), Math.min(ranks, simulate.tokens()));
    int bound = Math.clamp(MOST_LOGITS / config.experts().count(), 1, MOST_TOKENS);
    // Micro-batches of a rank are alike.
    return Math.ceilDiv(ofRank, Math.ceilDiv(ofRank, bound));
  }

  @Override
  public int experts() {
    return experts;
  }

  @Override
  public int layers() {
    return 1;
  }

  @Override
  public int layersEach() {
    return config.model().moeLayers().size();
  }

  @Override
  public long tokens() {
    return simulate.tokens();
  }

  @Override
  public List<Long> steps() {
    return LongStream.range(0, logWeight_SE.length).boxed().toList();
  }

  @Override
  public List<Group> groups(int step) {
    return groups;
  }

  @Override
  public Seen see(int step, Group group, double[] buffer) {
    Scratch own = scratch.get();
    int tokens = group.tokens();
    double[] logits_TE = buffer.length == tokens * experts ? buffer : new double[tokens * experts];
    int[] ids_T = new int[tokens];
    long passageAt = -1;
    for (int t = 0; t < tokens; t++) {
      int token = (int) group.firstToken() + t;
      boolean shares =
          simulate.correlation() > 0 && uniform(own, step, SHARES, token) < simulate.correlation();
      if (!shares) {
        own.row.fill(own.noise_E, step, 0, GumbelRow.TOKEN, token);
      } else if (token / simulate.passage() != passageAt) {
        passageAt = token / simulate.passage();
        own.row.fill(own.passageNoise_E, step, 0, GumbelRow.PASSAGE, (int) passageAt);
      }
      toLogits(logits_TE, t * experts, shares ? own.passageNoise_E : own.noise_E, step);
      ids_T[t] = id(uniform(own, step, IDS, token));
    }
    return new Seen(
        logits_TE,
        ids_T,
        new double[0],
        new CounterDraws(config.seed(), step, 0, group.firstToken()));
  }

  private void toLogits(double[] logits_TE, int from, float[] noise_E, int step) {
    double[] logWeight_E = logWeight_SE[step];
    double sharpness = simulate.sharpness();
    for (int e = 0; e < experts; e++) {
      logits_TE[from + e] = sharpness * (logWeight_E[e] - noise_E[e]);
    }
  }

  /** About Zipf's law with exponent 1, as of words in a text; only a gate that hashes looks. */
  private int id(double u) {
    int vocab = config.model().vocab();
    return Math.min(vocab - 1, (int) (Math.exp(u * Math.log1p(vocab)) - 1));
  }

  @Override
  public TokenCounts counts() {
    return vocab -> {
      long[] count_V = new long[vocab];
      for (int id = 0; id < vocab; id++) {
        count_V[id] =
            Math.round(simulate.tokens() * Math.log1p(1.0 / (id + 1)) / Math.log1p(vocab));
      }
      return count_V;
    };
  }

  private double uniform(Scratch own, int step, int purpose, int token) {
    Philox.block(config.seed(), 0, token, purpose << 8, step, own.block, 0);
    return Philox.uniform(own.block[0]);
  }

  @Override
  public void close() {
    scratch.remove();
  }
}
