package troupe.transport;

import io.aeron.CncFileDescriptor;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.file.Files;
import java.nio.file.Path;

/** Says which processes can share memory with this one. */
final class Machine {
  private static final Path BOOT_ID = Path.of("/proc/sys/kernel/random/boot_id");

  private Machine() {}

  /**
   * The same for all processes under one kernel since it was booted; containers included, which may
   * still see different files.
   */
  static String id() {
    try {
      return Files.readString(BOOT_ID).strip();
    } catch (IOException e) {
      return hostName(); // not Linux
    }
  }

  /**
   * Whether the memory of that node's driver can be mapped here. Folders have random names, so one
   * of the same name in another container is no danger.
   */
  static boolean shares(Endpoint endpoint) {
    return isSame(endpoint)
        && Files.isWritable(endpoint.driver().resolve(CncFileDescriptor.CNC_FILE));
  }

  /** Whether that node runs under the same kernel. */
  static boolean isSame(Endpoint endpoint) {
    return endpoint.machine().equals(id());
  }

  private static String hostName() {
    try {
      return InetAddress.getLocalHost().getHostName();
    } catch (IOException e) {
      return "";
    }
  }
}
