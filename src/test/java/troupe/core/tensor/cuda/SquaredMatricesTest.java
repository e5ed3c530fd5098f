package troupe.core.tensor.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import troupe.core.tensor.cuda.SquaredMatrices.Matrix;

class SquaredMatricesTest {
  private final SquaredMatrices squared = new SquaredMatrices();

  @Test
  void shouldKnowWhatIsWholeWithinARange() {
    Matrix first = squared.squared(8, 24, 264);
    Matrix second = squared.squared(10_000, 16, 256);
    assertEquals(new Matrix(8, 8 + 24 * 264, 2 * 2), first);
    assertEquals(new Matrix(10_000, 10_000 + 16 * 256, 1), second);
    assertEquals(List.of(first, second), squared.within(8, second.end()));
    assertEquals(List.of(second), squared.within(9, second.end()));
    assertEquals(List.of(first), squared.within(0, second.end() - 1));
  }

  @Test
  void shouldForgetWhatSomethingElseWrites() {
    Matrix first = squared.squared(0, 8, 8);
    Matrix second = squared.squared(64, 8, 8);
    Matrix third = squared.squared(128, 8, 8);
    squared.written(64, 64);
    assertEquals(List.of(first, second, third), squared.within(0, 192), "nothing was written");
    squared.written(127, 128);
    assertEquals(List.of(first, third), squared.within(0, 192));
    squared.written(0, 129);
    assertEquals(List.of(), squared.within(0, 192));
  }

  @Test
  void shouldKnowTheMatrixThatWasWrittenLast() {
    squared.squared(0, 16, 8);
    squared.squared(64, 8, 16);
    assertEquals(List.of(new Matrix(64, 192, 1)), squared.within(0, 192));
  }

  @Test
  void shouldHaveAPlaceOfItsOwnForEverySum() {
    long seed = System.nanoTime();
    SplittableRandom random = new SplittableRandom(seed);
    for (int i = 0, from = 0, end = 0; i < 1000; i++) {
      int rows = 8 * random.nextInt(1, 80);
      int columns = 8 * random.nextInt(1, 80);
      Matrix matrix = squared.squared(from, rows, columns);
      assertTrue(matrix.place() >= end, "seed " + seed);
      end = Math.toIntExact(matrix.place() + matrix.sums());
      from = Math.toIntExact(matrix.end()) + 4 * random.nextInt(20);
      assertTrue(end <= matrix.end() / SquaredMatrices.ELEMENTS_OF_A_SUM, "seed " + seed);
    }
  }
}
