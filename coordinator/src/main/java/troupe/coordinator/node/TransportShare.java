package troupe.coordinator.node;

import java.util.Locale;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import troupe.transport.TransportCounters;

/**
 * What a node says of its transport when it ends.
 *
 * @param percent of the time of one thread, from joining the run to its end
 * @param pickUpMb megabytes that GPUs of other processes of this machine copied
 * @param ipcMb megabytes sent through shared memory
 * @param udpMb megabytes sent through sockets
 */
public record TransportShare(double percent, double pickUpMb, double ipcMb, double udpMb) {
  private static final Pattern TEXT =
      Pattern.compile(
          "transport  ([0-9.]+) % of the time of one thread;"
              + " sent ([0-9.]+) MB by pick-up, ([0-9.]+) MB by IPC, ([0-9.]+) MB by UDP");

  static TransportShare of(TransportCounters counters, long elapsedNs) {
    return new TransportShare(
        100.0 * counters.busyNs() / elapsedNs,
        counters.pickUp().bytesSent() / 1e6,
        counters.ipc().bytesSent() / 1e6,
        counters.udp().bytesSent() / 1e6);
  }

  /** Reads it back from a line of a node, which has it after a mark; empty for other lines. */
  public static Optional<TransportShare> parse(String line) {
    Matcher matcher = TEXT.matcher(line);
    return matcher.find()
        ? Optional.of(
            new TransportShare(
                Double.parseDouble(matcher.group(1)),
                Double.parseDouble(matcher.group(2)),
                Double.parseDouble(matcher.group(3)),
                Double.parseDouble(matcher.group(4))))
        : Optional.empty();
  }

  /** In one line, for people. */
  String text() {
    return String.format(
        Locale.ROOT,
        "transport  %.1f %% of the time of one thread;"
            + " sent %.1f MB by pick-up, %.1f MB by IPC, %.1f MB by UDP",
        percent,
        pickUpMb,
        ipcMb,
        udpMb);
  }
}
