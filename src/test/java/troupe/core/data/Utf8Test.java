package troupe.core.data;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.List;
import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;
import org.junit.jupiter.api.Test;

final class Utf8Test {
  /** Fragments that sit at the edges of the definition, valid and not. */
  private static final List<String> FRAGMENTS =
      List.of(
          "00",
          "7f",
          "c280",
          "dfbf",
          "e0a080",
          "ed9fbf",
          "ee8080",
          "efbfbf",
          "f0908080",
          "f48fbfbf",
          "80",
          "bf",
          "c0af",
          "c1bf",
          "e09fbf",
          "eda080",
          "f08fbfbf",
          "f4908080",
          "f5808080",
          "ff",
          "c2",
          "e0a0",
          "f09080",
          "6162636465666768696a6b");

  @Test
  void shouldAgreeWithTheDecoderOfTheJdk() {
    long seed = System.nanoTime();
    RandomGenerator random = RandomGeneratorFactory.of("L64X128MixRandom").create(seed);
    int invalid = 0;
    for (int run = 0; run < 20_000; run++) {
      StringBuilder hex = new StringBuilder();
      for (int n = random.nextInt(12); n > 0; n--) {
        // Mostly valid ones, or nothing but the first fragments would ever be reached.
        int bound = random.nextInt(8) == 0 ? FRAGMENTS.size() : 10;
        hex.append(random.nextBoolean() ? "61" : FRAGMENTS.get(random.nextInt(bound)));
      }
      byte[] bytes = HexFormat.of().parseHex(hex);
      int expected = firstMalformed(bytes);
      invalid += expected >= 0 ? 1 : 0;
      assertEquals(
          expected,
          Utf8.firstInvalid(MemorySegment.ofArray(bytes)),
          () -> "seed " + seed + ": " + hex);
    }
    assertEquals(true, invalid > 1_000 && invalid < 19_000, "one-sided cases: " + invalid);
  }

  /** What the JDK's decoder has consumed before it stops. */
  private static int firstMalformed(byte[] bytes) {
    CharsetDecoder decoder =
        StandardCharsets.UTF_8.newDecoder().onMalformedInput(CodingErrorAction.REPORT);
    ByteBuffer in = ByteBuffer.wrap(bytes);
    return decoder.decode(in, CharBuffer.allocate(bytes.length + 1), true).isError()
        ? in.position()
        : -1;
  }
}
