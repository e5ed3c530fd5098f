package troupe.coordinator.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;

final class MedianTest {
  @Test
  void shouldTakeTheMiddleInWhateverOrder() {
    assertEquals(7, Median.of(new double[] {7}));
    assertEquals(3, Median.of(new double[] {100, 1, 3}));
    assertEquals(2.5, Median.of(new double[] {4, 2, 1, 3}));
  }

  @Test
  void shouldLeaveTheValuesAsTheyAre() {
    double[] values = {3, 1, 2};
    Median.of(values);
    assertEquals(3, values[0]);
  }

  @Test
  void shouldRefuseToTakeOneOfNothing() {
    assertThrows(IllegalArgumentException.class, () -> Median.of(new double[0]));
  }
}
