package troupe.core.tensor.cuda;

import java.time.Duration;
import java.util.List;
import troupe.core.tensor.cuda.driver.FakeCuda;

/** A device over libraries that compute nothing. */
final class FakeDevice {
  private FakeDevice() {}

  /** Of a GPU that is waited for long enough. */
  static CudaDevice on(FakeCuda cuda) {
    return on(cuda, Duration.ofSeconds(30));
  }

  /** The same, which is waited for so long at most. */
  static CudaDevice on(FakeCuda cuda, Duration patience) {
    return new CudaDevice(
        cuda.driver(), 0, patience, capability -> List.of(new byte[8], new byte[8]), cuda::blas);
  }
}
