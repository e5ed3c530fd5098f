package troupe.core.tensor.cuda.driver;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.List;
import java.util.function.LongConsumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class WaitsTest {
  private static final long EVENT = 7;
  private static final int FAILED = 700;
  private static final Duration MOST = Duration.ofSeconds(10);

  private final FakeCuda cuda = new FakeCuda();

  /** A clock that moves while somebody pauses. */
  private long nowNs = 1;

  private Waits waits(LongConsumer pause) {
    return new Waits(cuda.driver(), MOST, () -> nowNs, pause);
  }

  private Waits untilDoneAt(long doneNs) {
    return waits(
        ns -> {
          nowNs += ns;
          cuda.hangs(nowNs < doneNs);
        });
  }

  private Waits forever() {
    return waits(ns -> nowNs += ns);
  }

  @Test
  void shouldNotPauseForWhatIsDone() {
    waits(
            ns -> {
              throw new AssertionError("paused " + ns);
            })
        .forEvent(EVENT);
  }

  @ParameterizedTest
  @ValueSource(longs = {2_000, 50_000, 1_000_000, 40_000_000, 9_000_000_000L})
  void shouldWaitAtMostASixtyFourthLongerThanNeeded(long doneNs) {
    cuda.hangs(true);
    untilDoneAt(doneNs).forEvent(EVENT);
    assertTrue(nowNs - doneNs <= doneNs / 64 + 500, nowNs + " ns for " + doneNs);
  }

  @Test
  void shouldWaitTwiceAsLongWhileTheGpuWaitsForAnother() {
    cuda.hangs(true);
    Waits waits = forever();
    waits.bePatientWhile(() -> nowNs < 12_000_000_000L);
    assertThrows(CudaException.class, () -> waits.forEvent(EVENT));
    assertTrue(nowNs > 12_000_000_000L && nowNs < 13_000_000_000L, nowNs + " ns");
  }

  @Test
  void shouldAskLessOftenTheLongerItWaits() {
    cuda.hangs(true);
    untilDoneAt(10_000_000).forEvent(EVENT);
    long questions = cuda.calls().stream().filter("cuEventQuery"::equals).count();
    assertTrue(questions < 600, questions + " questions in 10 ms");
  }

  @ParameterizedTest
  @ValueSource(longs = {2_000, 50_000, 1_000_000, 40_000_000, 9_000_000_000L})
  void shouldLookAtMemoryMoreOften(long doneNs) {
    forever().forMemory(() -> nowNs >= doneNs, EVENT);
    assertTrue(nowNs - doneNs <= Math.max(500, doneNs / 1024), nowNs + " ns for " + doneNs);
    long questions = cuda.calls().stream().filter("cuStreamQuery"::equals).count();
    assertTrue(questions <= doneNs / 1_000_000, questions + " questions");
  }

  @Test
  void shouldNotWaitForMemoryOfAGpuThatHasFailed() {
    cuda.fail("cuStreamQuery", FAILED);
    CudaException e =
        assertThrows(CudaException.class, () -> forever().forMemory(() -> false, EVENT));
    assertEquals(FAILED, e.code());
    assertTrue(nowNs < 3_000_000, nowNs + " ns");
  }

  @Test
  void shouldGiveUpInTimeWhenMemoryStaysAsItIs() {
    CudaException e =
        assertThrows(CudaException.class, () -> forever().forMemory(() -> false, EVENT));
    assertEquals(CudaException.TIMED_OUT, e.code());
    assertTrue(nowNs - MOST.toNanos() < 2_000_000, nowNs + " ns");
  }

  @Test
  void shouldGiveUpInTimeWhenAKernelHangs() {
    cuda.hangs(true);
    CudaException e = assertThrows(CudaException.class, () -> forever().forEvent(EVENT));
    assertEquals("what was queued has not ended within 10 s", e.getMessage());
    assertEquals(CudaException.TIMED_OUT, e.code());
    assertTrue(e.isLost());
    assertTrue(nowNs - MOST.toNanos() < 2_000_000, nowNs + " ns");
  }

  @Test
  void shouldNotWaitAgainForAGpuThatHangs() {
    cuda.hangs(true);
    Waits waits = forever();
    assertThrows(CudaException.class, () -> waits.forEvent(EVENT));
    long gaveUpNs = nowNs;
    assertThrows(CudaException.class, () -> waits.forStream(1));
    assertEquals(gaveUpNs, nowNs);
    cuda.hangs(false);
    waits.forEvent(EVENT);
  }

  @Test
  void shouldTakeNoStreamForIdleOfAGpuThatHangs() {
    Waits waits = forever();
    assertTrue(waits.isIdle(1));
    cuda.hangsAt(EVENT, true);
    assertThrows(CudaException.class, () -> waits.forEvent(EVENT));
    int before = cuda.calls().size();
    assertFalse(waits.isIdle(1));
    assertEquals(List.of("cuEventQuery"), cuda.calls().subList(before, cuda.calls().size()));
    cuda.hangsAt(EVENT, false);
    assertTrue(waits.isIdle(1));
  }

  @Test
  void shouldRememberWhatHangsThoughOtherThingsAreDone() {
    Waits waits = forever();
    cuda.hangsAt(EVENT, true);
    assertThrows(CudaException.class, () -> waits.forEvent(EVENT));
    waits.forEvent(EVENT + 1);
    assertTrue(waits.gaveUp());
    cuda.hangsAt(EVENT, false);
    assertFalse(waits.gaveUp());
  }

  @Test
  void shouldAskOnceMoreWhenTheProcessStoodStill() {
    cuda.hangs(true);
    waits(
            ns -> {
              nowNs += Duration.ofHours(1).toNanos();
              cuda.hangs(false);
            })
        .forEvent(EVENT);
  }

  @Test
  void shouldPassOnWhatFailed() {
    cuda.fail("cuEventQuery", 700);
    CudaException e = assertThrows(CudaException.class, () -> forever().forEvent(EVENT));
    assertEquals(700, e.code());
  }

  @Test
  void shouldWaitForAStreamByOneEventAndFreeIt() {
    Waits waits = forever();
    waits.forStream(1);
    waits.forStream(2);
    assertEquals(1, cuda.open().size(), cuda.open().toString());
    assertEquals(2, cuda.calls().stream().filter("cuEventRecord"::equals).count());
    // One that a wait was given up with, too.
    cuda.hangs(true);
    assertThrows(CudaException.class, () -> waits.forStream(3));
    cuda.hangs(false);
    waits.forStream(3);
    waits.close();
    assertEquals(0, cuda.open().size(), cuda.open().toString());
  }
}
