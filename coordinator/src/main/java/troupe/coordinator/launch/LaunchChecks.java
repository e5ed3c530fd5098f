package troupe.coordinator.launch;

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import troupe.core.UserException;
import troupe.core.config.RunConfig;

/** What must hold on this machine before so many nodes are started on it. */
public final class LaunchChecks {
  private static final Path SHARED_MEMORY = Path.of("/dev/shm");

  /** A JVM with Akka, Aeron and BLAS before it has a model; 300 to 400 MiB were seen. */
  private static final long NODE_BYTES = 400L << 20;

  /** Counters, error log and command buffers of an Aeron driver, rounded up. */
  private static final long DRIVER_BYTES = 16L << 20;

  private static final int TERMS = 3;

  private LaunchChecks() {}

  /**
   * Checks memory and shared memory.
   *
   * @throws UserException if one is short
   */
  public static void check(LaunchPlan plan) {
    OperatingSystemMXBean system = ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class);
    checkMemory(plan.nodes(), system.getFreeMemorySize());
    Path folder = transportFolder(plan.run());
    try {
      checkShared(plan, folder, Files.getFileStore(folder).getUsableSpace());
    } catch (IOException e) {
      // The nodes make the folder, or say why they cannot.
    }
  }

  static void checkMemory(int nodes, long freeBytes) {
    long needed = nodes * NODE_BYTES;
    if (freeBytes < needed) {
      throw new UserException(
          "free memory: %s (expected: >= %s for %d nodes)"
              .formatted(mebibytes(freeBytes), mebibytes(needed), nodes),
          "--nodes " + Math.max(1, freeBytes / NODE_BYTES) + ", or end what else is running");
    }
  }

  static void checkShared(LaunchPlan plan, Path folder, long usableBytes) {
    long needed = sharedBytes(plan.run(), plan.nodes());
    if (usableBytes < needed) {
      throw new UserException(
          "free bytes in %s: %s (expected: >= %s for %d nodes)"
              .formatted(folder, mebibytes(usableBytes), mebibytes(needed), plan.nodes()),
          "transport.term_bytes="
              + plan.run().transport().termBytes() / 4
              + ", fewer nodes, or a larger one: mount -o remount,size="
              + mebibytes(needed).replace(" MiB", "m")
              + " /dev/shm; docker run --shm-size");
    }
  }

  /** A driver for each node, and a stream of three terms from each to each other. */
  static long sharedBytes(RunConfig run, int nodes) {
    if (nodes == 1) {
      return 0;
    }
    // On UDP both ends have the stream in their drivers.
    int ends = run.transport().mode() == RunConfig.Mode.UDP ? 2 : 1;
    long stream = (long) TERMS * run.transport().termBytes() * ends;
    return nodes * (DRIVER_BYTES + (nodes - 1) * stream);
  }

  private static Path transportFolder(RunConfig run) {
    String directory = run.transport().directory();
    if (!directory.isEmpty()) {
      return Path.of(directory);
    }
    return Files.isWritable(SHARED_MEMORY)
        ? SHARED_MEMORY
        : Path.of(System.getProperty("java.io.tmpdir"));
  }

  private static String mebibytes(long bytes) {
    return String.format(Locale.ROOT, "%d MiB", bytes >> 20);
  }
}
