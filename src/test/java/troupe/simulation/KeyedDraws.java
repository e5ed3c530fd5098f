package troupe.simulation;

import java.util.HashMap;
import java.util.Map;

/**
 * Random numbers by what they are for: the n-th draw for a key depends on the seed, the key and n
 * alone. So it does not matter in which order an actor tells several others, which may be that of a
 * hash table.
 */
final class KeyedDraws {
  private static final long GOLDEN = 0x9E3779B97F4A7C15L;
  private static final double ULP = 0x1p-53;

  private final long seed;
  private final Map<Long, Integer> drawn = new HashMap<>();

  KeyedDraws(long seed) {
    this.seed = seed;
  }

  /** A key made of parts. */
  static long key(long... parts) {
    long key = 0;
    for (long part : parts) {
      key = mix(key + part + GOLDEN);
    }
    return key;
  }

  /** Uniform in [0, 1). */
  double next(long key) {
    int n = drawn.merge(key, 1, Integer::sum);
    return (mix(mix(seed + key) + n * GOLDEN) >>> 11) * ULP;
  }

  /** The finalizer of SplitMix64 (Steele, Lea, Flood 2014). */
  private static long mix(long z) {
    long y = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
    long x = (y ^ (y >>> 27)) * 0x94D049BB133111EBL;
    return x ^ (x >>> 31);
  }
}
