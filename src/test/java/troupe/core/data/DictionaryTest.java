package troupe.core.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import troupe.core.data.Dictionary.Sense;

final class DictionaryTest {
  private static final double FRACTION = 0.02;

  private static List<Sense> senses;

  @BeforeAll
  static void read() {
    senses = Dictionary.senses();
  }

  @Test
  void shouldHoldEverySynsetOfWordNetOnce() {
    // The line counts of the four files, less the 29 lines of licence at the top of each.
    Map<String, Long> counts =
        senses.stream().collect(Collectors.groupingBy(Sense::partOfSpeech, Collectors.counting()));
    assertEquals(
        Map.of("noun", 82_192L, "verb", 13_789L, "adjective", 18_185L, "adverb", 3_625L), counts);
    assertEquals(117_791, senses.size());
  }

  @Test
  void shouldWriteWordPartOfSpeechAndDefinition() {
    Pattern format = Pattern.compile("[^()_]+ \\((noun|verb|adjective|adverb)\\): \\S.*\\S");
    for (Sense sense : senses) {
      String line = sense.line();
      assertTrue(format.matcher(line).matches(), line);
      assertFalse(line.contains("  "), line);
      assertEquals(line.length(), line.getBytes(StandardCharsets.UTF_8).length, line);
    }
    assertTrue(
        senses.stream()
            .map(Sense::line)
            .anyMatch(
                line ->
                    line.equals(
                        "owl (noun): nocturnal bird of prey with hawk-like beak and claws and large"
                            + " head with front-facing eyes")));
  }

  @Test
  void shouldTurnUnderscoresIntoSpacesAndDropSyntacticMarkers() {
    Sense owl =
        Dictionary.parse("01626256 05 n 01 screech_owl 2 001 @ 01623768 n 0000 | any owl  ");
    assertEquals("screech owl (noun): any owl", owl.line());
    Sense galore =
        Dictionary.parse("00014358 00 s 01 galore(ip) 0 000 | plentiful;  \"daffodils galore\"  ");
    assertEquals("galore (adjective): plentiful; \"daffodils galore\"", galore.line());
  }

  @Test
  void shouldRefuseALineThatIsNotWordNet() {
    assertThrows(IllegalArgumentException.class, () -> Dictionary.parse("no gloss here"));
    assertThrows(
        IllegalArgumentException.class,
        () -> Dictionary.parse("00014358 00 x 01 galore 0 000 | plentiful"));
  }

  @Test
  void shouldKeepAllSensesOfAWordOnOneSide() {
    Set<String> training = new HashSet<>();
    Set<String> validation = new HashSet<>();
    for (Sense sense : senses) {
      (sense.isValidation(FRACTION) ? validation : training)
          .add(sense.word().toLowerCase(Locale.ROOT));
    }
    assertTrue(validation.stream().noneMatch(training::contains));
    double share = (double) validation.size() / (validation.size() + training.size());
    // Six standard deviations of a fair draw of some 84 000 words are 0.003.
    assertEquals(FRACTION, share, 0.003);
  }

  @Test
  void shouldSplitAndOrderTheSameInEveryRelease() {
    assertEquals(senses, Dictionary.senses());
    // Written down from the first release: if these change, validation losses stop being
    // comparable.
    assertEquals("swing", senses.getFirst().word());
    assertEquals(2_173, senses.stream().filter(s -> s.isValidation(FRACTION)).count());
  }

  @Test
  void shouldMixTheFiles() {
    long nouns =
        senses.subList(0, 1000).stream().filter(s -> s.partOfSpeech().equals("noun")).count();
    // Nouns are 69.8 % of all senses; six standard deviations of 1000 draws are 87.
    assertEquals(698, nouns, 87);
  }
}
