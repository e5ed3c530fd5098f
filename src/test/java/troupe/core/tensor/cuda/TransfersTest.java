package troupe.core.tensor.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.lang.foreign.ValueLayout;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import troupe.core.tensor.DeviceException;
import troupe.core.tensor.Tensor;
import troupe.core.tensor.cuda.driver.CudaException;
import troupe.core.tensor.cuda.driver.FakeCuda;

/** Copies through pinned memory that several streams read; without a GPU. */
@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class TransfersTest {
  /** Columns of float32 that fill as much pinned memory as is filled at a time. */
  private static final int HALF = 2 << 20;

  private final FakeCuda cuda = new FakeCuda();

  private CudaDevice open() {
    return FakeDevice.on(cuda, Duration.ofMillis(50));
  }

  @Test
  void shouldKeepWhatTheMainStreamHasNotCopiedYetWhenMoreIsReceived() {
    CudaDevice device = open();
    // Or it would have memory of its own.
    cuda.fail("cuMemHostAlloc", CudaException.OUT_OF_MEMORY);
    cuda.hangsIn(device.gpu().stream());
    device.allocate(1, 2).set(new float[] {1, 2});
    for (int i = 0; i < 3; i++) {
      device.copyIn(1, HALF, false, device.receive((long) HALF * Float.BYTES)).close();
    }
    assertArrayEquals(new float[] {1, 2}, cuda.copied().getFirst().toArray(ValueLayout.JAVA_FLOAT));
  }

  @Test
  void shouldNotReuseMemoryThatALaneHasNotCopiedYet() {
    CudaDevice device = open();
    long[] lane = new long[1];
    Tensor small = device.allocate(1, 2);
    Tensor large = device.allocate(1, HALF);
    device.concurrently(
        0,
        () -> {
          lane[0] = device.gpu().stream();
          small.set(new float[] {1, 2});
        });
    cuda.hangsIn(lane[0]);
    large.set(new float[HALF]);
    assertThrows(DeviceException.class, () -> large.set(new float[HALF]));
  }
}
