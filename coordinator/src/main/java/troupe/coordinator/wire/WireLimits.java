package troupe.coordinator.wire;

import com.typesafe.config.Config;

/**
 * How large control messages may be.
 *
 * @param messageBytes of one message without the header of its frame
 */
public record WireLimits(int messageBytes) {
  /** The setting of Artery that the limit comes from. */
  static final String FRAME_SIZE = "akka.remote.artery.advanced.maximum-frame-size";

  /**
   * Left for the header: addresses of sender and receiver and the manifest, each a path of a few
   * hundred bytes at most.
   */
  private static final int HEADER_BYTES = 4 << 10;

  /** The limit that the settings of an actor system leave. */
  public static WireLimits of(Config config) {
    return new WireLimits(Math.toIntExact(config.getBytes(FRAME_SIZE)) - HEADER_BYTES);
  }

  /** Refuses what is larger. */
  void check(String name, int bytes) {
    if (bytes > messageBytes) {
      throw RefusedException.of(
          name + " of " + bytes + " bytes",
          "at most " + messageBytes,
          "raise " + FRAME_SIZE + " on all nodes");
    }
  }
}
