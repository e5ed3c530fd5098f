package troupe.transport;

import java.nio.file.Path;

/**
 * Where a node can be reached: what it tells all others when it joins them.
 *
 * @param node its number. A process that comes back is another node, with another number
 * @param channel where it listens, an Aeron URI such as {@code aeron:udp?endpoint=HOST:PORT}, or
 *     {@code aeron:ipc} if nobody but its own machine can reach it
 * @param machine {@link Machine#id the same} for processes that run under one kernel
 * @param directory of its Aeron driver, for processes that see the same files
 */
public record Endpoint(int node, String channel, String machine, String directory) {
  private static final String UDP = "aeron:udp?";

  /** Checks the values. */
  public Endpoint {
    if (node < 0) {
      throw new IllegalArgumentException("node: %d (expected: >= 0)".formatted(node));
    }
    if (!channel.startsWith(UDP) && !channel.startsWith("aeron:ipc")) {
      throw new IllegalArgumentException(
          "channel: %s (expected: aeron:ipc or aeron:udp?endpoint=HOST:PORT)".formatted(channel));
    }
  }

  boolean hasUdp() {
    return channel.startsWith(UDP);
  }

  Path driver() {
    return Path.of(directory);
  }
}
