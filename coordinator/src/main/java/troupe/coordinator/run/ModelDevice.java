package troupe.coordinator.run;

import troupe.core.UserException;
import troupe.core.config.RunConfig;
import troupe.core.tensor.DeviceGroup;
import troupe.core.tensor.Devices;
import troupe.core.tensor.check.KernelCheck;

/** Opens the devices that a config names. */
public final class ModelDevice {
  private ModelDevice() {}

  /**
   * Opens them, and checks the kernels of those whose code was compiled for this machine.
   *
   * @throws UserException if there is no such device here, or a kernel of it is wrong
   */
  public static DeviceGroup open(RunConfig config) {
    // Where there may be a GPU the reference begins while that is opened.
    DeviceCheck check = Devices.isGpu(config.device()) ? DeviceCheck.begin() : null;
    DeviceGroup group;
    try {
      group =
          new DeviceGroup(
              Devices.openAll(config.device(), config.cuda().lib(), config.cuda().waitTimeout()));
    } catch (IllegalArgumentException e) {
      throw new UserException(e.getMessage(), "device=auto takes the best there is", e);
    }
    if (check != null) {
      check(check, group);
    }
    return group;
  }

  private static void check(DeviceCheck check, DeviceGroup group) {
    try {
      group.devices().parallelStream().forEach(check::all);
    } catch (KernelCheck.WrongKernelException e) {
      group.close();
      throw new UserException(
          e.getMessage(),
          "not your mistake: please report it with what troupe doctor prints; device=cpu trains",
          e);
    } catch (RuntimeException e) {
      group.close();
      throw e;
    }
  }
}
