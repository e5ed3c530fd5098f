package troupe.coordinator.launch;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import java.util.random.RandomGenerator;
import troupe.core.UserException;

/** TCP ports of this machine for the control messages of nodes. */
final class Ports {
  /**
   * Below the range from which operating systems take the ports of outgoing connections (32768 and
   * up on Linux): a node that is started again must find its port free.
   */
  private static final int FIRST = 20_000;

  private static final int LAST = 32_000;
  private static final int MAX_PORT = 65_535;

  private Ports() {}

  /**
   * Free ports, drawn at random so that two who ask at the same time hardly get the same.
   *
   * @throws UserException if there are not so many
   */
  static List<Integer> free(String host, int count) {
    return free(host, count, ThreadLocalRandom.current());
  }

  static List<Integer> free(String host, int count, RandomGenerator random) {
    List<Integer> free = new ArrayList<>();
    int range = LAST - FIRST;
    int start = random.nextInt(range);
    for (int i = 0; i < range && free.size() < count; i++) {
      int port = FIRST + (start + i) % range;
      if (isFree(host, port)) {
        free.add(port);
      }
    }
    if (free.size() < count) {
      throw new UserException(
          "free ports: "
              + free.size()
              + " from "
              + FIRST
              + " to "
              + (LAST - 1)
              + " of "
              + host
              + " (expected: "
              + count
              + ")",
          "cluster.port=PORT names the first of them");
    }
    return free;
  }

  /**
   * {@code count} ports from {@code first} on, all free.
   *
   * @param key the config key that named the first
   * @throws UserException if one does not exist or is in use
   */
  static List<Integer> from(String key, String host, int first, int count) {
    if (first < 1 || first + count - 1 > MAX_PORT) {
      throw new UserException(
          "%s: %d (expected: from 1 to %d, for %d nodes take a port each from there on)"
              .formatted(key, first, MAX_PORT - count + 1, count),
          "leave " + key + " out: launch finds free ports");
    }
    List<Integer> ports = new ArrayList<>();
    for (int port = first; port < first + count; port++) {
      if (!isFree(host, port)) {
        throw new UserException(
            "%s: port %d of %s is taken (expected: %d to %d free)"
                .formatted(key, port, host, first, first + count - 1),
            "leave " + key + " out: launch finds free ports");
      }
      ports.add(port);
    }
    return ports;
  }

  private static boolean isFree(String host, int port) {
    try (ServerSocket socket = new ServerSocket(port, 1, InetAddress.getByName(host))) {
      return socket.isBound();
    } catch (IOException e) {
      return false;
    }
  }
}
