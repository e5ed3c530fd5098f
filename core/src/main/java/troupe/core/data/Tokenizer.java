package troupe.core.data;

/**
 * Turns text into tokens, numbers in {@code [0, vocabulary())}, and back. Immutable, so threads may
 * share one. A token may stand for any number of bytes.
 */
public interface Tokenizer {
  /**
   * What the resolved config and checkpoints call this tokenizer; two with the same name give the
   * same tokens.
   */
  String name();

  /** How many different tokens there are. */
  int vocabulary();

  /** The tokens of a text. */
  int[] encode(String text);

  /**
   * The text of tokens. Models write what they like, so bytes that are not valid UTF-8 become
   * U+FFFD instead of an error.
   *
   * @throws IllegalArgumentException for a token that is not in the vocabulary
   */
  String decode(int[] tokens);

  /** The tokens of a whole text that may be larger than memory; valid as long as the text is. */
  TokenStream tokens(Text text);
}
