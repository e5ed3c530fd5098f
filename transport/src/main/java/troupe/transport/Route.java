package troupe.transport;

import io.aeron.ChannelUriStringBuilder;

/**
 * How a node's batches get to another.
 *
 * @param way shared memory or UDP
 * @param channel where they are published
 * @param client of the driver that carries them: the other's for shared memory, this node's for UDP
 */
record Route(Way way, String channel, DriverClient client) {
  private static final String IPC = "aeron:ipc";

  /** Chooses what the mode allows and the two have in common. */
  static Route to(
      Endpoint endpoint,
      TransportSettings settings,
      DriverClient own,
      StrandLocks strands,
      TransportEvents events) {
    return wayTo(endpoint, settings) == Way.IPC
        ? ipc(settings, DriverClient.ofNeighbour(endpoint.driver(), strands, events))
        : udp(settings, endpoint.channel(), own);
  }

  /** The way that batches to {@code endpoint} take. */
  static Way wayTo(Endpoint endpoint, TransportSettings settings) {
    return switch (settings.mode()) {
      case UDP -> Way.UDP;
      case IPC -> requireSameMachine(endpoint);
      case AUTO -> Machine.shares(endpoint) || !endpoint.hasUdp() ? Way.IPC : Way.UDP;
    };
  }

  /** Through the memory of a driver. */
  static Route ipc(TransportSettings settings, DriverClient client) {
    return new Route(
        Way.IPC, with(IPC, settings.strandTermBytes(), settings.ipcMtuBytes()), client);
  }

  /** To an address. */
  static Route udp(TransportSettings settings, String channel, DriverClient client) {
    return new Route(
        Way.UDP, with(channel, settings.strandTermBytes(), settings.driver().mtuBytes()), client);
  }

  private static Way requireSameMachine(Endpoint endpoint) {
    if (!Machine.isSame(endpoint)) {
      throw new IllegalStateException(
          """
          transport.mode: ipc (expected: auto or udp, for node %d is on another machine)
          HINT: transport.mode=auto"""
              .formatted(endpoint.node()));
    }
    return Way.IPC;
  }

  private static String with(String channel, int termBytes, int mtuBytes) {
    return new ChannelUriStringBuilder(channel).termLength(termBytes).mtu(mtuBytes).build();
  }
}
