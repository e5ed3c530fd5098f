package troupe.core.tensor;

import java.util.function.Supplier;
import troupe.core.UserException;
import troupe.core.tensor.cpu.CpuDevice;
import troupe.core.tensor.nd4j.Nd4jDevice;
import troupe.core.tensor.reference.ReferenceDevice;

/** Opens devices by the name that a config gives. */
public final class Devices {
  private Devices() {}

  /**
   * Opens a device. The libraries of a device are loaded when it is opened, never those of another.
   *
   * @param name {@code cpu}, {@code nd4j}, {@code reference}, or {@code auto} for {@code cpu}
   * @throws UserException for any other name
   */
  public static Device open(String name) {
    // One lambda a device: its class, and with it the native library, loads when the lambda runs.
    Supplier<Device> device =
        switch (name) {
          case "cpu", "auto" -> CpuDevice::new;
          case "nd4j" -> Nd4jDevice::new;
          case "reference" -> ReferenceDevice::new;
          default ->
              throw new UserException(
                  "device: " + name + " (expected: cpu, nd4j, reference or auto)",
                  "device=cpu runs everywhere");
        };
    return device.get();
  }
}
