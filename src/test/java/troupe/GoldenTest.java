package troupe;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.StringReader;
import org.junit.jupiter.api.Test;

class GoldenTest {
  private static Golden parse(String json) {
    return Golden.parse("example", new StringReader(json));
  }

  @Test
  void shouldKeepEveryBitOfNumbers() {
    double[] numbers =
        parse("{\"x\": [NaN, Infinity, -Infinity, -0.0, 1e-320, 1e150, 0.1]}").doubles("x");
    double[] expected = {Double.NaN, 1 / 0.0, -1 / 0.0, -0.0, 1e-320, 1e150, 0.1};
    for (int i = 0; i < expected.length; i++) {
      assertEquals(Double.doubleToRawLongBits(expected[i]), Double.doubleToRawLongBits(numbers[i]));
    }
  }

  @Test
  void shouldFlattenRowMajorAndKnowKinds() {
    Golden golden =
        parse("{\"m\": [[1, 2], [3, 4]], \"b\": [0, 1, true], \"o\": [{\"id\": \"a\"}]}");
    assertArrayEquals(new double[] {1, 2, 3, 4}, golden.doubles("m"));
    assertArrayEquals(new double[] {3, 4}, golden.matrix("m")[1]);
    assertArrayEquals(new boolean[] {false, true, true}, golden.flags("b"));
    assertEquals("a", golden.children("o").getFirst().toString());
    assertFalse(golden.has("absent"));
    assertThrows(IllegalArgumentException.class, () -> golden.number("absent"));
  }

  @Test
  void shouldNameWhatIsOffWhenNumbersAreNotClose() {
    Closeness.assertClose("x", new double[] {1, Double.NaN}, new double[] {1, Double.NaN}, 0, 0);
    AssertionError e =
        assertThrows(AssertionError.class, () -> Closeness.assertClose("x", 1e-320, 0, 1e-12, 0));
    assertTrue(e.getMessage().startsWith("x[0]: 0.0"), e.getMessage());
    assertThrows(AssertionError.class, () -> Closeness.assertClose("x", 1, Double.NaN, 1, 1));
    assertThrows(AssertionError.class, () -> Closeness.assertClose("x", 1, 1 + 3e-12, 1e-12, 0));
  }
}
