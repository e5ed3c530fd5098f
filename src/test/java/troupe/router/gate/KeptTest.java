package troupe.router.gate;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.BitSet;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class KeptTest {
  private static final int TOKENS = 9;

  @ParameterizedTest
  @ValueSource(ints = {1, 8, 63, 64, 65, 128, 1000})
  void shouldRememberEachExpertOfEachToken(int experts) {
    Random random = new Random(experts);
    Kept kept = new Kept(TOKENS, experts);
    BitSet expected = new BitSet();
    for (int t = 0; t < TOKENS; t++) {
      for (int e = 0; e < experts; e++) {
        if (random.nextBoolean()) {
          kept.keep(t, e);
          expected.set(t * experts + e);
        }
      }
    }
    for (int t = 0; t < TOKENS; t++) {
      for (int e = 0; e < experts; e++) {
        assertEquals(expected.get(t * experts + e), kept.has(t, e));
      }
      int count = expected.get(t * experts, (t + 1) * experts).cardinality();
      assertEquals(count, kept.count(t));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {70, 130})
  void shouldKeepManyByTheirBits(int experts) {
    Kept kept = new Kept(2, experts);
    kept.keep(1, 1, 0b101);
    assertEquals(0, kept.count(0));
    assertEquals(2, kept.count(1));
    assertEquals(true, kept.has(1, Kept.BITS) && kept.has(1, Kept.BITS + 2));
  }
}
