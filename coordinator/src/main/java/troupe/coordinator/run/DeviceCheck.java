package troupe.coordinator.run;

import troupe.core.tensor.Device;
import troupe.core.tensor.check.KernelCheck;
import troupe.router.trunk.RoutingCheck;

/** Compares everything that a device computes with the reference. */
public final class DeviceCheck {
  private DeviceCheck() {}

  /**
   * Runs every kernel, and every gate where the device routes.
   *
   * @return how many comparisons there were
   * @throws KernelCheck.WrongKernelException naming the first that is wrong
   */
  public static int all(Device device) {
    return KernelCheck.all(device) + RoutingCheck.all(device);
  }
}
