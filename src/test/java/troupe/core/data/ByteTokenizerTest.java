package troupe.core.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;

final class ByteTokenizerTest {
  private final ByteTokenizer tokenizer = new ByteTokenizer();

  @Test
  void shouldGiveBackWhatItEncoded() {
    for (String text :
        List.of("", "owl (noun): bird", "\u00e9t\u00e9 \u4e2d\u6587 \ud83e\udd89\n\u0000")) {
      assertEquals(text, tokenizer.decode(tokenizer.encode(text)));
    }
  }

  @Test
  void shouldEncodeUtf8Bytes() {
    assertArrayEquals(new int[] {'o', 0xC3, 0xA9}, tokenizer.encode("o\u00e9"));
  }

  @Test
  void shouldReplaceBrokenUtf8() {
    assertEquals("a\ufffd", tokenizer.decode(new int[] {'a', 0xC3}));
    assertEquals("\ufffdb", tokenizer.decode(new int[] {0xFF, 'b'}));
    assertEquals("\ufffdb", tokenizer.decode(new int[] {0xF0, 0x9F, 0xA6, 'b'}));
  }

  @Test
  void shouldRefuseATokenOutsideTheVocabulary() {
    assertThrows(IllegalArgumentException.class, () -> tokenizer.decode(new int[] {256}));
    assertThrows(IllegalArgumentException.class, () -> tokenizer.decode(new int[] {-1}));
  }

  @Test
  void shouldReadAcrossPieces() {
    TokenStream tokens =
        tokenizer.tokens(new Text(List.of(piece("abc"), piece(""), piece("\u00e9"), piece("de"))));
    int[] whole = tokenizer.encode("abc\u00e9de");
    assertEquals(whole.length, tokens.size());
    for (int from = 0; from <= whole.length; from++) {
      for (int to = from; to <= whole.length; to++) {
        int[] out = new int[to - from + 2];
        tokens.read(from, out, 1, to - from);
        int[] expected = new int[to - from + 2];
        System.arraycopy(whole, from, expected, 1, to - from);
        assertArrayEquals(expected, out);
      }
    }
    assertThrows(IndexOutOfBoundsException.class, () -> tokens.read(6, new int[9], 0, 2));
    assertThrows(IndexOutOfBoundsException.class, () -> tokens.read(-1, new int[9], 0, 1));
    assertThrows(IndexOutOfBoundsException.class, () -> tokens.read(0, new int[1], 0, 2));
  }

  private static MemorySegment piece(String text) {
    return MemorySegment.ofArray(text.getBytes(StandardCharsets.UTF_8));
  }
}
