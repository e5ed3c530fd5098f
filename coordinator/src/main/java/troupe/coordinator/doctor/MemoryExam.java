package troupe.coordinator.doctor;

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.FileStore;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Memory, shared memory and the folders that hold unpacked libraries and temporary files. */
final class MemoryExam {
  /** Heap, tensors and libraries of the quickstart. */
  private static final long QUICKSTART_BYTES = 3L << 30;

  /**
   * Aeron's streams of two ranks and eight experts at the default term length, with room to spare.
   */
  private static final long AERON_BYTES = 1L << 30;

  /** Unpacked native libraries take 200 MiB. */
  private static final long CACHE_BYTES = 512L << 20;

  private MemoryExam() {}

  static Section run() {
    List<Fact> facts = new ArrayList<>();
    List<String> advice = new ArrayList<>();
    OperatingSystemMXBean system = ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class);
    facts.add(Fact.bytes("total", system.getTotalMemorySize()));
    facts.add(Fact.bytes("free", system.getFreeMemorySize()));
    if (system.getTotalMemorySize() < QUICKSTART_BYTES) {
      advice.add(
          "memory: "
              + Sizes.readable(system.getTotalMemorySize())
              + " (expected: 3 GiB for configs/quickstart.conf); use train.batch=8 or a smaller"
              + " model");
    }
    folder(
        facts,
        advice,
        "shm",
        Path.of("/dev/shm"),
        AERON_BYTES,
        "for transport.mode = ipc or udp: mount -o remount,size=2g /dev/shm,"
            + " or set transport.directory");
    folder(
        facts,
        advice,
        "temp",
        Path.of(System.getProperty("java.io.tmpdir")),
        CACHE_BYTES,
        "set -Djava.io.tmpdir to a folder with more room");
    folder(
        facts,
        advice,
        "native_cache",
        Path.of(System.getProperty("user.home")),
        CACHE_BYTES,
        "set -Dorg.bytedeco.javacpp.cachedir to a folder with more room");
    return new Section("memory", facts, advice);
  }

  private static void folder(
      List<Fact> facts, List<String> advice, String name, Path folder, long wanted, String remedy) {
    try {
      FileStore store = Files.getFileStore(folder);
      long free = store.getUsableSpace();
      facts.add(Fact.of(name, folder.toString()));
      facts.add(Fact.bytes(name + "_size", store.getTotalSpace()));
      facts.add(Fact.bytes(name + "_free", free));
      if (!Files.isWritable(folder)) {
        advice.add(folder + ": not writable (expected: writable); " + remedy);
      } else if (free < wanted) {
        advice.add(
            folder
                + ": "
                + Sizes.readable(free)
                + " free (expected: "
                + Sizes.readable(wanted)
                + "); "
                + remedy);
      }
    } catch (IOException e) {
      facts.add(Fact.of(name, "none"));
      advice.add(folder + ": missing (expected: a writable folder); " + remedy);
    }
  }
}
