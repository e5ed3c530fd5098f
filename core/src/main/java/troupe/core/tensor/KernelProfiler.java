package troupe.core.tensor;

import java.util.Map;

/** Says where a device's time goes. Costs time itself, so what it times is not what one reports. */
public interface KernelProfiler {
  /** What the time between kernels is called: the device had nothing to do. */
  String IDLE = "idle";

  /** Times every kernel from now on, forgetting what was timed before. */
  void begin();

  /** Stops, and returns nanoseconds by kernel since {@link #begin}. */
  Map<String, Long> end();
}
