package troupe.coordinator.node;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** The UDP ports that a process has open, as Linux tells. */
final class UdpPorts {
  private static final int LOCAL_ADDRESS = 1;
  private static final int INODE = 9;

  private UdpPorts() {}

  static List<Integer> of(long pid) throws IOException {
    Set<String> inodes = new HashSet<>();
    try (DirectoryStream<Path> files = Files.newDirectoryStream(Path.of("/proc", pid + "", "fd"))) {
      for (Path file : files) {
        String target = link(file);
        if (target.startsWith("socket:[")) {
          inodes.add(target.substring("socket:[".length(), target.length() - 1));
        }
      }
    }
    return List.of("udp", "udp6").stream()
        .flatMap(table -> lines(Path.of("/proc/net", table)).stream())
        .map(line -> line.strip().split("\\s+"))
        .filter(field -> field.length > INODE && inodes.contains(field[INODE]))
        .map(field -> field[LOCAL_ADDRESS].replaceFirst(".*:", ""))
        .map(port -> Integer.parseInt(port, 16))
        .distinct()
        .toList();
  }

  private static String link(Path file) {
    try {
      return Files.readSymbolicLink(file).toString();
    } catch (IOException e) {
      return ""; // Closed meanwhile.
    }
  }

  private static List<String> lines(Path table) {
    try {
      return Files.readAllLines(table);
    } catch (IOException e) {
      return List.of(); // A machine without IPv6.
    }
  }
}
