package troupe.router.gate;

import java.util.Arrays;
import troupe.core.random.Philox;
import troupe.core.random.RoughExponential;
import troupe.core.tensor.RoutingKernels;

/**
 * Draws from Philox4x32-10, each a pure function of (seed, step, layer, token, purpose): work that
 * is replayed, moved or reordered draws the same numbers. Tokens are counted over the whole step,
 * so a draw does not depend on how the batch is cut into ranks and micro-batches.
 *
 * <p>The key is the seed. A block of four 32-bit words has the counter
 *
 * <pre>
 *   word 0   token, low 32 bits
 *   word 1   step, low 32 bits
 *   word 2   layer (16 bits) | purpose (8 bits) | token, bits 32 to 39
 *   word 3   index / 4                              index: the expert, or the channel of the input
 *
 *   purpose  0x80 + round  exponential    0xB0  noise
 *            0x90 + round  coin           0xC0  input noise
 *            0xA0 + round  scale          0xD0  priority
 * </pre>
 *
 * Draws with an index use word {@code w = block[index % 4]} as {@code u = (w + 1/2) / 2^32}, in (0,
 * 1); an exponential is {@code -ln u}. Draws without one have index 0 and use words 0 and 1: {@code
 * u = floor((w0 * 2^32 + w1) / 2^11) / 2^53}, in [0, 1). Purposes below 0x80 are left to draws that
 * are no gate's.
 *
 * <p>Many draws at once are the same ones, made several blocks at a time.
 *
 * <p>Keeps what it made last, so an instance belongs to one thread.
 */
public final class CounterDraws implements Draws {
  private static final int EXPONENTIAL = 0x80;
  private static final int COIN = 0x90;
  private static final int SCALE = 0xA0;
  private static final int NOISE = 0xB0;
  private static final int INPUT_NOISE = 0xC0;
  private static final int PRIORITY = 0xD0;
  // A power of two.
  private static final int AHEAD = 64;
  private static final int MAX_LAYER = 0xFFFF;
  private static final int MAX_ROUND = 0xF;
  private static final long MAX_TOKEN = (1L << 40) - 1;

  private final long seed;
  private final int step;
  private final int layer;
  private final long firstToken;
  private final Window[] windows = new Window[PRIORITY - EXPONENTIAL + 1];
  private final int[] block = new int[4];
  private long[] words = new long[0];
  private int blockToken = -1;
  private int blockPurpose;
  private int blockGroup;

  /** Draws of tokens in a row, for one purpose. */
  private static final class Window {
    private final double[] value_T;
    private int firstToken = -1;

    Window(double[] value_T) {
      this.value_T = value_T;
    }
  }

  /**
   * The draws of one layer and micro-batch.
   *
   * @param layer index of the layer, below 2^16
   * @param firstToken how many tokens of the step come before this micro-batch's token 0, at most
   *     2^40 - 1 less the micro-batch
   */
  public CounterDraws(long seed, long step, int layer, long firstToken) {
    if (layer < 0 || layer > MAX_LAYER) {
      throw new IllegalArgumentException("layer: " + layer + " (expected: 0 to " + MAX_LAYER + ")");
    }
    if (firstToken < 0 || firstToken > MAX_TOKEN - Integer.MAX_VALUE) {
      throw new IllegalArgumentException("firstToken: " + firstToken + " (expected: 0 to 2^40)");
    }
    this.seed = seed;
    this.step = (int) step;
    this.layer = layer;
    this.firstToken = firstToken;
  }

  /** What a device needs to make the same draws. */
  public RoutingKernels.DrawKey key() {
    return new RoutingKernels.DrawKey(seed, step, layer, firstToken);
  }

  @Override
  public double exponential(int token, int expert, int round) {
    load(token, purpose(EXPONENTIAL, round), expert >>> 2);
    return Philox.exponential(block[expert & 3]);
  }

  @Override
  public double coin(int token, int round) {
    return single(token, purpose(COIN, round));
  }

  @Override
  public double scale(int token, int round) {
    return single(token, purpose(SCALE, round));
  }

  @Override
  public double noise(int token, int expert) {
    return indexed(token, NOISE, expert);
  }

  @Override
  public double inputNoise(int token, int channel) {
    return indexed(token, INPUT_NOISE, channel);
  }

  @Override
  public double priority(int token) {
    return single(token, PRIORITY);
  }

  @Override
  public void exponentials(
      int firstToken, int tokens, int experts, int round, double[] out, int stride) {
    int purpose = purpose(EXPONENTIAL, round);
    if (carries(firstToken, tokens)) {
      Draws.super.exponentials(firstToken, tokens, experts, round, out, stride);
      return;
    }
    for (int e = 0; e < experts; e++) {
      if ((e & 3) == 0) {
        makeWords(firstToken, tokens, purpose, e >>> 2);
      }
      Philox.exponentials(out, e * stride, words, (e & 3) * tokens, tokens);
    }
  }

  @Override
  public boolean roughExponentials(
      int firstToken, int[] token_R, int count, int experts, int round, float[] out) {
    int groups = Math.ceilDiv(experts, 4);
    for (int g = 0; g < groups; g++) {
      if (!makeWords(firstToken, token_R, g, count, purpose(EXPONENTIAL, round))) {
        return false;
      }
      RoughExponential.ofPairs(out, 4 * count * g, words, 2 * count);
    }
    return true;
  }

  @Override
  public void exponentials(
      int firstToken, int[] token_R, int[] expert_R, int count, int round, double[] out, int at) {
    int blocks = makeWords(firstToken, token_R, expert_R, count, purpose(EXPONENTIAL, round));
    if (blocks < count) {
      Draws.super.exponentials(firstToken, token_R, expert_R, count, round, out, at);
      return;
    }
    for (int i = 0; i < count; i++) {
      words[i] = words[(expert_R[i] & 3) * blocks + i];
    }
    Philox.exponentials(out, at, words, 0, count);
  }

  @Override
  public void coins(int firstToken, int[] token_R, int count, int round, double[] out) {
    int blocks = makeWords(firstToken, token_R, null, count, purpose(COIN, round));
    if (blocks < count) {
      Draws.super.coins(firstToken, token_R, count, round, out);
    } else {
      Philox.uniforms53(out, 0, words, blocks, count);
    }
  }

  @Override
  public void scales(int firstToken, int[] token_R, int count, int round, double[] out) {
    int blocks = makeWords(firstToken, token_R, null, count, purpose(SCALE, round));
    if (blocks < count) {
      Draws.super.scales(firstToken, token_R, count, round, out);
    } else {
      Philox.uniforms53(out, 0, words, blocks, count);
    }
  }

  @Override
  public void noises(int firstToken, int tokens, int experts, double[] out, int stride) {
    if (carries(firstToken, tokens)) {
      Draws.super.noises(firstToken, tokens, experts, out, stride);
      return;
    }
    for (int e = 0; e < experts; e++) {
      if ((e & 3) == 0) {
        makeWords(firstToken, tokens, NOISE, e >>> 2);
      }
      Philox.uniforms(out, e * stride, words, (e & 3) * tokens, tokens);
    }
  }

  /**
   * Whether the low 32 bits of these tokens start over: then their blocks have no word in common.
   */
  private boolean carries(int firstToken, int tokens) {
    long global = this.firstToken + firstToken;
    return global >>> 32 != global + tokens >>> 32;
  }

  /**
   * Makes the blocks of chosen tokens and indices, {@code null} for index 0.
   *
   * @return how many there are, those included that nobody asked for: none if these tokens carry
   */
  private int makeWords(int firstToken, int[] token_R, int[] index_R, int count, int purpose) {
    int blocks = Math.ceilDiv(count, Philox.AT_ONCE) * Philox.AT_ONCE;
    reserve(blocks);
    long global = firstToken + this.firstToken;
    if (!setTokens(global, token_R, count)) {
      return 0;
    }
    Arrays.fill(words, count, blocks, 0);
    Arrays.fill(words, 3 * blocks, 4 * blocks, 0);
    for (int i = 0; index_R != null && i < count; i++) {
      words[3 * blocks + i] = index_R[i] >>> 2;
    }
    Philox.words(seed, step, place(purpose, global), blocks, words);
    return blocks;
  }

  /** Makes blocks of one index; returns whether it did: not if these tokens carry. */
  private boolean makeWords(int firstToken, int[] token_R, int group, int count, int purpose) {
    reserve(count);
    long global = firstToken + this.firstToken;
    if (!setTokens(global, token_R, count)) {
      return false;
    }
    Arrays.fill(words, 3 * count, 4 * count, group);
    Philox.words(seed, step, place(purpose, global), count, words);
    return true;
  }

  /** Sets the words that are tokens; returns whether the others are the same for all of them. */
  private boolean setTokens(long global, int[] token_R, int count) {
    long carry = 0;
    for (int i = 0; i < count; i++) {
      long token = global + token_R[i];
      carry |= (token ^ global) >>> 32;
      words[i] = token & 0xFFFFFFFFL;
    }
    return carry == 0;
  }

  private void makeWords(int firstToken, int tokens, int purpose, int group) {
    reserve(tokens);
    long global = firstToken + this.firstToken;
    Philox.words(seed, (int) global, step, place(purpose, global), group, tokens, words);
  }

  private void reserve(int blocks) {
    if (words.length < 4 * blocks) {
      words = new long[4 * blocks];
    }
  }

  private int place(int purpose, long global) {
    return layer << 16 | purpose << 8 | (int) (global >>> 32);
  }

  private static int purpose(int kind, int round) {
    if (round < 0 || round > MAX_ROUND) {
      throw new IllegalArgumentException("round: " + round + " (expected: 0 to " + MAX_ROUND + ")");
    }
    return kind + round;
  }

  private double indexed(int token, int purpose, int index) {
    load(token, purpose, index >>> 2);
    return Philox.uniform(block[index & 3]);
  }

  /**
   * Draws of one number are made for {@link #AHEAD} tokens at once: they are asked for in order.
   */
  private double single(int token, int purpose) {
    Window window = windows[purpose - EXPONENTIAL];
    if (window == null) {
      window = new Window(new double[AHEAD]);
      windows[purpose - EXPONENTIAL] = window;
    }
    int from = token & -AHEAD;
    if (window.firstToken != from) {
      fill(window, from, purpose);
    }
    return window.value_T[token - from];
  }

  private void fill(Window window, int from, int purpose) {
    if (carries(from, AHEAD)) {
      for (int i = 0; i < AHEAD; i++) {
        load(from + i, purpose, 0);
        window.value_T[i] = Philox.uniform53(block[0], block[1]);
      }
    } else {
      makeWords(from, AHEAD, purpose, 0);
      Philox.uniforms53(window.value_T, 0, words, AHEAD, AHEAD);
    }
    window.firstToken = from;
  }

  private void load(int token, int purpose, int group) {
    if (token == blockToken && purpose == blockPurpose && group == blockGroup) {
      return;
    }
    long global = firstToken + token;
    Philox.block(seed, (int) global, step, place(purpose, global), group, block, 0);
    blockToken = token;
    blockPurpose = purpose;
    blockGroup = group;
  }
}
