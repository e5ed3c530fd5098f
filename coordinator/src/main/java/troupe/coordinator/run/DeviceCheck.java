package troupe.coordinator.run;

import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import troupe.core.tensor.Device;
import troupe.core.tensor.check.KernelCheck;
import troupe.router.trunk.RoutingCheck;

/** Compares what a device computes with the reference, before anything is trained there. */
public final class DeviceCheck {
  private DeviceCheck() {}

  /**
   * Runs all comparisons: of kernels, and of gates where the device routes.
   *
   * @return how many there were
   * @throws KernelCheck.WrongKernelException naming the first that is wrong
   */
  public static int all(Device device) {
    return KernelCheck.all(device) + RoutingCheck.all(device);
  }

  /**
   * {@link #all} of each device, at the same time; returns or throws when no device has work any
   * more.
   *
   * @throws KernelCheck.WrongKernelException naming the first that is wrong, of the first device
   */
  static void each(List<Device> devices) {
    List<CompletableFuture<Integer>> checks =
        devices.stream()
            .map(
                device ->
                    CompletableFuture.supplyAsync(
                        () -> all(device), work -> new Thread(work, "check").start()))
            .toList();
    CompletableFuture.allOf(checks.toArray(CompletableFuture[]::new))
        .exceptionally(failure -> null)
        .join();
    try {
      checks.forEach(CompletableFuture::join);
    } catch (CompletionException e) {
      throw e.getCause() instanceof RuntimeException cause ? cause : e;
    }
  }
}
