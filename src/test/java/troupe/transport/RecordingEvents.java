package troupe.transport;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

/** Keeps every event as a line. */
final class RecordingEvents implements TransportEvents {
  private final List<String> lines = new CopyOnWriteArrayList<>();

  @Override
  public void onConnected(int node) {
    lines.add("connected " + node);
  }

  @Override
  public void onDisconnected(int node) {
    lines.add("disconnected " + node);
  }

  @Override
  public void onUndelivered(int node, BatchHeader header, Undelivered reason) {
    lines.add("undelivered %d %d %s".formatted(node, header.step(), reason));
  }

  @Override
  public void onOutOfReach(int node) {
    lines.add("out of reach " + node);
  }

  @Override
  public void onAbandoned(BatchHeader header) {
    lines.add("abandoned " + header.step());
  }

  @Override
  public void onError(Throwable error) {
    lines.add("error " + error);
  }

  List<String> lines() {
    return lines;
  }

  long count(String end) {
    return lines.stream().filter(line -> line.endsWith(end)).count();
  }
}
