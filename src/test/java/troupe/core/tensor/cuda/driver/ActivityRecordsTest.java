package troupe.core.tensor.cuda.driver;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.foreign.Arena;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import troupe.core.tensor.cuda.driver.GpuActivity.Kind;

/** Records that are laid out by hand, as {@code cupti_activity.h} has them. */
class ActivityRecordsTest {
  private final Arena arena = Arena.ofConfined();
  private final ActivityRecords records = new ActivityRecords();

  @AfterEach
  void free() {
    arena.close();
  }

  @Test
  void shouldReadAKernel() {
    long record = HandMadeRecords.kernel(arena, "routeRows", 1, 13, 1_000_000_000_000L, 250);
    assertEquals(
        Optional.of(
            new GpuActivity(
                Kind.KERNEL, "routeRows", 1, 13, 1_000_000_000_000L, 1_000_000_000_250L, 0)),
        records.read(record));
  }

  @Test
  void shouldReadWhatMovesBytes() {
    assertEquals(
        Optional.of(new GpuActivity(Kind.COPY, "copy from host", 0, 7, 10, 15, 1L << 33)),
        records.read(HandMadeRecords.copy(arena, 1, 1, 0, 7, 10, 5, 1L << 33)));
    assertEquals(
        Optional.of(new GpuActivity(Kind.COPY, "copy to host", 0, 7, 10, 15, 4)),
        records.read(HandMadeRecords.copy(arena, 1, 2, 0, 7, 10, 5, 4)));
    assertEquals(
        Optional.of(new GpuActivity(Kind.COPY, "copy", 0, 7, 10, 15, 4)),
        records.read(HandMadeRecords.copy(arena, 1, 8, 0, 7, 10, 5, 4)));
    assertEquals(
        Optional.of(new GpuActivity(Kind.PEER_COPY, "copy between GPUs", 2, 9, 10, 15, 4)),
        records.read(HandMadeRecords.copy(arena, 22, 10, 2, 9, 10, 5, 4)));
    assertEquals(
        Optional.of(new GpuActivity(Kind.FILL, "zero", 3, 9, 10, 15, 4)),
        records.read(HandMadeRecords.copy(arena, 2, 0, 3, 9, 10, 5, 4)));
  }

  @Test
  void shouldPassOverOtherKinds() {
    assertEquals(Optional.empty(), records.read(HandMadeRecords.copy(arena, 5, 0, 0, 0, 1, 1, 0)));
  }
}
