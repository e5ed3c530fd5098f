package troupe.core.data;

import java.nio.charset.StandardCharsets;

/** A token is a byte of UTF-8. */
public final class ByteTokenizer implements Tokenizer {
  private static final int VOCABULARY = 256;

  @Override
  public String name() {
    return "bytes";
  }

  @Override
  public int vocabulary() {
    return VOCABULARY;
  }

  @Override
  public int[] encode(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    int[] tokens = new int[bytes.length];
    for (int i = 0; i < bytes.length; i++) {
      tokens[i] = Byte.toUnsignedInt(bytes[i]);
    }
    return tokens;
  }

  @Override
  public String decode(int[] tokens) {
    byte[] bytes = new byte[tokens.length];
    for (int i = 0; i < tokens.length; i++) {
      if (tokens[i] < 0 || tokens[i] >= VOCABULARY) {
        throw new IllegalArgumentException(
            "token " + i + ": " + tokens[i] + " (expected: 0 to " + (VOCABULARY - 1) + ")");
      }
      bytes[i] = (byte) tokens[i];
    }
    return new String(bytes, StandardCharsets.UTF_8);
  }

  /** The bytes where they lie: nothing is copied before it is read. */
  @Override
  public TokenStream tokens(Text text) {
    return new ByteTokens(text);
  }
}
