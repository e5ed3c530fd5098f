package troupe.coordinator.doctor;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Limits of socket buffers, which matter to {@code transport.mode = udp} alone. */
final class NetworkExam {
  /** Aeron's own recommendation; its windows are cut to what the socket can buffer. */
  private static final long WANTED_BYTES = 2L << 20;

  private NetworkExam() {}

  static Section run() {
    List<Fact> facts = new ArrayList<>();
    List<String> advice = new ArrayList<>();
    for (String name : List.of("rmem_max", "wmem_max")) {
      // Through a buffer: these files say that they are empty and answer the first read alone.
      try (BufferedReader reader = Files.newBufferedReader(Path.of("/proc/sys/net/core", name))) {
        long bytes = Long.parseLong(reader.readLine().strip());
        facts.add(Fact.bytes(name, bytes));
        if (bytes < WANTED_BYTES) {
          advice.add(
              "net.core."
                  + name
                  + ": "
                  + bytes
                  + " (expected: >= "
                  + WANTED_BYTES
                  + " for transport.mode = udp); sysctl -w net.core."
                  + name
                  + "="
                  + WANTED_BYTES);
        }
      } catch (IOException e) {
        facts.add(Fact.of(name, "unknown"));
      }
    }
    return new Section("network", facts, advice);
  }
}
