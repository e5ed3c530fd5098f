package troupe.core.tensor.cuda;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import troupe.core.UserException;
import troupe.core.tensor.Device;
import troupe.core.tensor.cuda.driver.CudaException;
import troupe.core.tensor.cuda.driver.CudaLibraries;
import troupe.core.tensor.cuda.driver.Driver;

/** The GPUs of this process. The driver is loaded once, and only where a config asks for it. */
public final class CudaDevices {
  /** Ten times the compute capability that a GPU has at least: bf16 needs it. */
  public static final int LEAST_CAPABILITY = 80;

  /** For whoever has no config: what {@code cuda.wait_timeout_seconds} is by default. */
  public static final Duration PATIENCE = Duration.ofSeconds(30);

  private static CudaLibraries libraries;
  private static Driver driver;

  private CudaDevices() {}

  /** Whether this machine looks as if it had a GPU; loads nothing. */
  public static boolean mayBePresent() {
    return Files.exists(Path.of("/dev/nvidiactl")) || Files.exists(Path.of("/dev/dxg"));
  }

  /** How many GPUs this machine seems to have for this process; loads nothing. */
  public static int likelyCount() {
    String visible = System.getenv("CUDA_VISIBLE_DEVICES");
    if (visible != null) {
      return visible.isBlank() ? 0 : visible.split(",").length;
    }
    String[] gpus = Path.of("/dev").toFile().list((folder, name) -> name.matches("nvidia\\d+"));
    return gpus == null ? 0 : gpus.length;
  }

  /**
   * Opens a GPU.
   *
   * @param name {@code cuda:N}, or {@code cuda} for the first
   * @param folders where to look for NVIDIA's libraries first; may be empty
   * @param patience how long to wait for the GPU at most
   * @throws UserException saying what is missing
   */
  public static CudaDevice open(String name, String folders, Duration patience) {
    load(folders);
    return open(index(name), patience);
  }

  /**
   * Opens all GPUs that this process may use, able to copy each other's tensors.
   *
   * @param folders as in {@link #open}
   * @param patience as in {@link #open}
   */
  public static List<Device> openAll(String folders, Duration patience) {
    load(folders);
    Resources opened = new Resources();
    List<CudaDevice> devices = new ArrayList<>();
    try {
      for (int index = 0; index < Math.max(1, driver.deviceCount()); index++) {
        CudaDevice device = open(index, patience);
        opened.onClose(device::close);
        devices.forEach(device::connect);
        devices.add(device);
      }
    } catch (RuntimeException | LinkageError e) {
      opened.closeAfter(e);
      throw e;
    }
    return List.copyOf(devices);
  }

  /**
   * Looks for what {@link #record} needs.
   *
   * @param folders as in {@link #open}
   * @throws UserException saying what is missing
   */
  public static synchronized void requireRecorder(String folders) {
    load(folders);
    try {
      libraries.activities();
    } catch (CudaException e) {
      throw new UserException("profile: " + e.line(), CudaLibraries.Library.CUPTI.howToGet(), e);
    }
  }

  /**
   * Starts to record what GPUs do.
   *
   * @param devices opened here, all that are at work
   * @throws UserException if the library is missing, or this process cannot be profiled
   */
  public static synchronized CuptiTimeline record(List<Device> devices, String folders) {
    requireRecorder(folders);
    return new CuptiTimeline(
        libraries.activities(),
        devices.stream().map(device -> ((CudaDevice) device).gpu()).toList());
  }

  private static CudaDevice open(int index, Duration patience) {
    return new CudaDevice(
        driver,
        index,
        patience,
        capability -> KernelSources.compile(libraries.compiler(), capability),
        libraries::matrixProducts);
  }

  private static synchronized void load(String folders) {
    if (driver == null) {
      libraries = new CudaLibraries(folders);
      driver = libraries.driver();
    }
  }

  private static int index(String name) {
    String number =
        name.equals(CudaDevice.NAME) ? "0" : name.substring(CudaDevice.NAME.length() + 1);
    try {
      return Integer.parseInt(number);
    } catch (NumberFormatException e) {
      throw new UserException(
          "device: " + name + " (expected: cuda or cuda:NUMBER)", "device=cuda:0 is the first GPU");
    }
  }
}
