package troupe.coordinator.run;

import troupe.core.tensor.Device;
import troupe.core.tensor.check.KernelCheck;
import troupe.router.trunk.RoutingCheck;

/**
 * Compares everything that devices compute with the reference, which computes it once, in the
 * background.
 */
public final class DeviceCheck {
  private final KernelCheck kernels = KernelCheck.begin();
  private final RoutingCheck gates = RoutingCheck.begin();

  private DeviceCheck() {}

  /** Has the reference begin; devices may be opened meanwhile. */
  public static DeviceCheck begin() {
    return new DeviceCheck();
  }

  /**
   * Runs every kernel, and every gate where the device routes. Several devices may be checked at
   * the same time.
   *
   * @return how many comparisons there were
   * @throws KernelCheck.WrongKernelException naming the first that is wrong
   */
  public int all(Device device) {
    return kernels.all(device) + gates.all(device);
  }
}
