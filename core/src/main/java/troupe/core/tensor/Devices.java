package troupe.core.tensor;

import java.time.Duration;
import java.util.List;
import java.util.function.Supplier;
import troupe.core.UserException;
import troupe.core.tensor.cpu.CpuDevice;
import troupe.core.tensor.cuda.CudaDevice;
import troupe.core.tensor.cuda.CudaDevices;
import troupe.core.tensor.nd4j.Nd4jDevice;
import troupe.core.tensor.reference.ReferenceDevice;

/** Opens devices by the name that a config gives. */
public final class Devices {
  private Devices() {}

  /**
   * Opens what a config names: all GPUs for {@code cuda}, and for {@code auto} where there are
   * some, else one device.
   *
   * @param cudaFolders where to look for NVIDIA's libraries first; may be empty
   * @param cudaPatience how long to wait for a GPU at most
   */
  public static List<Device> openAll(String name, String cudaFolders, Duration cudaPatience) {
    return isGpu(name) && !name.contains(":")
        ? CudaDevices.openAll(cudaFolders, cudaPatience)
        : List.of(open(name, cudaFolders, cudaPatience));
  }

  /** Whether a name stands for one GPU or for all of them. */
  public static boolean isGpu(String name) {
    return name.equals("auto")
        ? CudaDevices.mayBePresent()
        : name.equals(CudaDevice.NAME) || name.startsWith(CudaDevice.NAME + ":");
  }

  /** Opens a device that needs no settings. */
  public static Device open(String name) {
    return open(name, "");
  }

  /** Opens a device with the default of how long to wait for it. */
  public static Device open(String name, String cudaFolders) {
    return open(name, cudaFolders, CudaDevices.PATIENCE);
  }

  /**
   * Opens a device. The libraries of a device are loaded when it is opened, never those of another.
   *
   * @param name {@code cpu}, {@code cuda}, {@code cuda:0}, {@code nd4j}, {@code reference}, or
   *     {@code auto} for {@code cuda} where there is a GPU and {@code cpu} elsewhere
   * @param cudaFolders where to look for NVIDIA's libraries first; may be empty
   * @param cudaPatience how long to wait for a GPU at most
   * @throws UserException for any other name
   */
  public static Device open(String name, String cudaFolders, Duration cudaPatience) {
    if (name.equals("auto")) {
      String best = CudaDevices.mayBePresent() ? CudaDevice.NAME : "cpu";
      return open(best, cudaFolders, cudaPatience);
    }
    // One lambda a device: its class, and with it the native library, loads when the lambda runs.
    Supplier<Device> device =
        switch (name) {
          case "cpu" -> CpuDevice::new;
          case "nd4j" -> Nd4jDevice::new;
          case "reference" -> ReferenceDevice::new;
          default -> {
            if (name.equals(CudaDevice.NAME) || name.startsWith(CudaDevice.NAME + ":")) {
              yield () -> CudaDevices.open(name, cudaFolders, cudaPatience);
            }
            throw new UserException(
                "device: " + name + " (expected: cpu, cuda, cuda:0, nd4j, reference or auto)",
                "device=cpu runs everywhere");
          }
        };
    return device.get();
  }
}
