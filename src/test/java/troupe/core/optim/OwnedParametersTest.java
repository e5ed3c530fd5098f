package troupe.core.optim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import troupe.core.tensor.AdamWStep;
import troupe.core.tensor.Device;
import troupe.core.tensor.Devices;
import troupe.core.tensor.Tensor;

final class OwnedParametersTest {
  private static final long SEED = 8;

  private static final int CHUNK = 16_384;

  /** Two chunks that decay, the second a part of one, and two that do not. */
  private static final int SIZE = CHUNK * 3 + 20;

  private static final int DECAYED = CHUNK + 50;
  private static final int CHUNKS = 4;

  private final Device device = Devices.open("reference");
  private final double[] start = values(SEED);
  private final Tensor gradient = device.of(1, SIZE, values(SEED + 1));

  private static double[] values(long seed) {
    return new SplittableRandom(seed).doubles(SIZE, -1, 1).toArray();
  }

  @AfterEach
  void close() {
    device.close();
  }

  private OwnedParameters owned(long decayed) {
    return new OwnedParameters(device, device.of(1, SIZE, start), decayed, 0.1);
  }

  private static AdamWStep step(long step) {
    return new AdamWStep(0.01, 0.9, 0.95, 1e-8, step, 0.5);
  }

  /** Throws when it is called for the n-th time, once. */
  private static final class ThrowAt implements Runnable {
    private int left;

    ThrowAt(int call) {
      this.left = call;
    }

    @Override
    public void run() {
      if (--left == 0) {
        throw new IllegalStateException("injected");
      }
    }
  }

  private void assertSame(OwnedParameters expected, OwnedParameters actual) {
    assertEquals(expected.committedStep(), actual.committedStep());
    assertArrayEquals(expected.parameters().toDoubles(), actual.parameters().toDoubles());
    assertArrayEquals(expected.firstMoment().toDoubles(), actual.firstMoment().toDoubles());
    assertArrayEquals(expected.secondMoment().toDoubles(), actual.secondMoment().toDoubles());
  }

  @ParameterizedTest
  @CsvSource({"1, 1", "2, 1", "3, 2", "4, 2", "1, 4", "4, 4"})
  void shouldFinishWithTheSameBitsWhenInterrupted(int first, int second) {
    OwnedParameters undisturbed = owned(DECAYED);
    OwnedParameters disturbed = owned(DECAYED);
    int calls = 0;
    for (long step = 1; step <= 2; step++) {
      long now = step;
      int[] counted = {0};
      undisturbed.apply(gradient, step(now), () -> counted[0]++);
      calls = counted[0];
      assertThrows(
          IllegalStateException.class,
          () -> disturbed.apply(gradient, step(now), new ThrowAt(first)));
      assertEquals(now - 1, disturbed.committedStep());
      // The second time it goes on after the chunk at which it stopped; after the last none is
      // left.
      int again = Math.min(second, CHUNKS - first);
      if (again > 0) {
        assertThrows(
            IllegalStateException.class,
            () -> disturbed.apply(gradient, step(now), new ThrowAt(again)));
      }
      disturbed.apply(gradient, step(now), () -> {});
      assertSame(undisturbed, disturbed);
    }
    assertEquals(CHUNKS, calls);
  }

  @ParameterizedTest
  @CsvSource({"10, 25", "0, 10", "10, 10", "0, 0", "20, 20"})
  void shouldAddToWhatNoOptimizerTouches(long decayed, int optimized) {
    OwnedParameters plain = owned(decayed);
    OwnedParameters mixed =
        new OwnedParameters(device, device.of(1, SIZE, start), decayed, optimized, 0.1);
    plain.apply(gradient, step(1), () -> {});
    assertThrows(IllegalStateException.class, () -> mixed.apply(gradient, step(1), new ThrowAt(1)));
    mixed.apply(gradient, step(1), () -> {});
    double[] expected = plain.parameters().toDoubles();
    double[] change = gradient.toDoubles();
    for (int i = optimized; i < SIZE; i++) {
      expected[i] = start[i] + change[i];
    }
    assertArrayEquals(expected, mixed.parameters().toDoubles(), 1e-15);
    for (int i = optimized; i < SIZE; i++) {
      assertEquals(0, mixed.firstMoment().toDoubles()[i]);
    }
  }

  @Test
  void shouldEqualOneKernelCallOverEachPart() {
    OwnedParameters chunked = owned(DECAYED);
    chunked.apply(gradient, step(1), () -> {});
    Tensor p = device.of(1, SIZE, start);
    Tensor m = device.zeros(1, SIZE);
    Tensor v = device.zeros(1, SIZE);
    int rest = SIZE - DECAYED;
    device
        .kernels()
        .adamw(
            p.slice(0, 1, DECAYED),
            m.slice(0, 1, DECAYED),
            v.slice(0, 1, DECAYED),
            gradient.slice(0, 1, DECAYED),
            step(1),
            0.1);
    device
        .kernels()
        .adamw(
            p.slice(DECAYED, 1, rest),
            m.slice(DECAYED, 1, rest),
            v.slice(DECAYED, 1, rest),
            gradient.slice(DECAYED, 1, rest),
            step(1),
            0);
    assertArrayEquals(p.toDoubles(), chunked.parameters().toDoubles());
    assertArrayEquals(m.toDoubles(), chunked.firstMoment().toDoubles());
    assertArrayEquals(v.toDoubles(), chunked.secondMoment().toDoubles());
  }

  @Test
  void shouldTakeARangeThatDecaysWhollyOrNotAtAll() {
    OwnedParameters all = owned(SIZE + 1000L);
    OwnedParameters none = owned(-1000);
    all.apply(gradient, step(1), () -> {});
    none.apply(gradient, step(1), () -> {});
    assertFalse(Arrays.equals(all.parameters().toDoubles(), none.parameters().toDoubles()));
    double[] decayed = all.parameters().toDoubles();
    double[] kept = none.parameters().toDoubles();
    for (int i = 0; i < SIZE; i++) {
      assertEquals(kept[i], decayed[i] + 0.01 * 0.1 * start[i], 1e-12);
    }
  }

  @Test
  void shouldLeaveACommittedStepAloneAndRefuseOneOutOfTurn() {
    OwnedParameters owned = owned(DECAYED);
    owned.apply(gradient, step(1), () -> {});
    double[] after = owned.parameters().toDoubles();
    owned.apply(gradient, step(1), () -> {});
    assertArrayEquals(after, owned.parameters().toDoubles());
    assertThrows(IllegalStateException.class, () -> owned.apply(gradient, step(3), () -> {}));
    owned.loaded(5);
    owned.apply(gradient, step(6), () -> {});
    assertEquals(6, owned.committedStep());
  }
}
