package troupe.coordinator.run;

import troupe.core.UserException;
import troupe.core.config.RunConfig;
import troupe.core.tensor.Device;
import troupe.core.tensor.Devices;

/** Opens the device that a config names. */
public final class ModelDevice {
  private ModelDevice() {}

  /**
   * Opens it.
   *
   * @throws UserException if there is no such device here
   */
  public static Device open(RunConfig config) {
    try {
      return Devices.open(config.device(), config.cuda().lib());
    } catch (IllegalArgumentException e) {
      throw new UserException(e.getMessage(), "device=auto takes the best there is", e);
    }
  }
}
