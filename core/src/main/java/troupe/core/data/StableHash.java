package troupe.core.data;

/**
 * A hash that is the same in every process, JVM and release, unlike what {@code hashCode} promises:
 * FNV-1a over UTF-16 units, finished by the mixer of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014)
 * so that all 64 bits depend on every unit.
 */
final class StableHash {
  private static final long FNV_OFFSET = 0xCBF29CE484222325L;
  private static final long FNV_PRIME = 0x100000001B3L;
  private static final double TWO_TO_MINUS_53 = 0x1p-53;

  private StableHash() {}

  /** The hash of a text; different salts give independent hashes. */
  static long of(CharSequence text, long salt) {
    long hash = FNV_OFFSET ^ salt;
    for (int i = 0; i < text.length(); i++) {
      hash = (hash ^ text.charAt(i)) * FNV_PRIME;
    }
    hash = (hash ^ (hash >>> 30)) * 0xBF58476D1CE4E5B9L;
    hash = (hash ^ (hash >>> 27)) * 0x94D049BB133111EBL;
    return hash ^ (hash >>> 31);
  }

  /** The hash of a text as a number in [0, 1). */
  static double fraction(CharSequence text, long salt) {
    return (of(text, salt) >>> 11) * TWO_TO_MINUS_53;
  }
}
