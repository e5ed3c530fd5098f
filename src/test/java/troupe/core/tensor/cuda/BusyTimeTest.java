package troupe.core.tensor.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import troupe.core.tensor.cuda.driver.GpuActivity;
import troupe.core.tensor.cuda.driver.GpuActivity.Kind;

class BusyTimeTest {
  private static GpuActivity kernel(String name, int stream, long startNs, long endNs) {
    return new GpuActivity(Kind.KERNEL, name, 0, stream, startNs, endNs, 0);
  }

  private static GpuActivity copy(long startNs, long endNs) {
    return new GpuActivity(Kind.COPY, "copy", 0, 9, startNs, endNs, 8);
  }

  @Test
  void shouldCountStreamsSideBySideOnce() {
    BusyTime time =
        BusyTime.of(
            List.of(
                kernel("late", 1, 70, 90),
                kernel("long", 1, 10, 50),
                kernel("within", 2, 20, 30),
                kernel("beside", 3, 40, 60)),
            0,
            100);
    assertEquals(100, time.spanNs());
    assertEquals(70, time.busyNs());
    assertEquals(30, time.idleNs());
    assertEquals(0.3, time.idle());
    assertEquals(0, time.copiesNs());
    assertEquals(Map.of("long", 10L, "late", 10L), time.idleBeforeNs());
  }

  @Test
  void shouldCutWhatReachesOutOfTheStretch() {
    BusyTime time =
        BusyTime.of(
            List.of(kernel("before", 1, 0, 10), kernel("a", 1, 5, 20), kernel("b", 1, 90, 120)),
            10,
            100);
    assertEquals(20, time.busyNs());
    assertEquals(Map.of("b", 70L), time.idleBeforeNs());
  }

  @Test
  void shouldTellCopiesThatNothingRunsBeside() {
    BusyTime time = BusyTime.of(List.of(kernel("a", 1, 0, 40), copy(30, 60)), 0, 100);
    assertEquals(60, time.busyNs());
    assertEquals(20, time.copiesNs());
  }

  @Test
  void shouldBeIdleWhereNothingRan() {
    BusyTime time = BusyTime.of(List.of(), 5, 15);
    assertEquals(10, time.idleNs());
    assertEquals(1, time.idle());
    assertEquals(0, BusyTime.of(List.of(), 5, 5).idle());
  }
}
