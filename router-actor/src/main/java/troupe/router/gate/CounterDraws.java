package troupe.router.gate;

import troupe.core.random.Philox;
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
 * <p>Keeps the last block, so an instance belongs to one thread.
 */
public final class CounterDraws implements Draws {
  private static final int EXPONENTIAL = 0x80;
  private static final int COIN = 0x90;
  private static final int SCALE = 0xA0;
  private static final int NOISE = 0xB0;
  private static final int INPUT_NOISE = 0xC0;
  private static final int PRIORITY = 0xD0;
  private static final int MAX_LAYER = 0xFFFF;
  private static final int MAX_ROUND = 0xF;
  private static final long MAX_TOKEN = (1L << 40) - 1;

  private final long seed;
  private final int step;
  private final int layer;
  private final long firstToken;
  private final int[] block = new int[4];
  private int blockToken = -1;
  private int blockPurpose;
  private int blockGroup;

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
    return -Math.log(indexed(token, purpose(EXPONENTIAL, round), expert));
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

  private double single(int token, int purpose) {
    load(token, purpose, 0);
    return Philox.uniform53(block[0], block[1]);
  }

  private void load(int token, int purpose, int group) {
    if (token == blockToken && purpose == blockPurpose && group == blockGroup) {
      return;
    }
    long global = firstToken + token;
    int place = layer << 16 | purpose << 8 | (int) (global >>> 32);
    Philox.block(seed, (int) global, step, place, group, block, 0);
    blockToken = token;
    blockPurpose = purpose;
    blockGroup = group;
  }
}
