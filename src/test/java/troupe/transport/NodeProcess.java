package troupe.transport;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import troupe.ChildJvm;
import troupe.transport.TransportSettings.Mode;

/** A node in a JVM of its own, {@link NodeMain}, told what to do by lines. */
final class NodeProcess implements AutoCloseable {
  private final ChildJvm jvm;
  private final Endpoint endpoint;

  private NodeProcess(ChildJvm jvm) {
    this.jvm = jvm;
    String[] parts = jvm.await().split("\t");
    endpoint = new Endpoint(Integer.parseInt(parts[0]), parts[1], parts[2], parts[3]);
  }

  /** Starts one with the flags of this JVM and some more; it has begun to listen. */
  static NodeProcess start(Mode mode, int node, Path directory, String... moreFlags) {
    List<String> flags = new ArrayList<>(List.of("-XX:TieredStopAtLevel=1"));
    flags.addAll(List.of(moreFlags));
    return new NodeProcess(
        new ChildJvm(
            NodeMain.class,
            flags,
            Map.of(),
            mode.name(),
            Integer.toString(node),
            directory.toString()));
  }

  Endpoint endpoint() {
    return endpoint;
  }

  /** Makes these its peers; batches that reach it go back to the first. */
  void connect(Endpoint... peers) {
    jvm.ask(
        "connect "
            + Stream.of(peers)
                .map(
                    p ->
                        "%d\t%s\t%s\t%s"
                            .formatted(p.node(), p.channel(), p.machine(), p.directory()))
                .collect(Collectors.joining("\t")));
  }

  void setEpoch(int epoch) {
    jvm.ask("epoch " + epoch);
  }

  /** From now on the next batch that arrives stops its transport's thread for good. */
  void stall() {
    jvm.ask("stall");
  }

  /** Whether copies of rows that it picks up stay under way. */
  void setCopying(boolean on) {
    jvm.ask("copying " + on);
  }

  /** A counter of it by name, see {@link NodeMain}. */
  long counter(String name) {
    Map<String, Long> counters =
        Stream.of(jvm.ask("counters").split(" "))
            .map(pair -> pair.split("="))
            .collect(Collectors.toMap(pair -> pair[0], pair -> Long.valueOf(pair[1])));
    return counters.get(name);
  }

  /** Sends a signal, such as KILL. */
  void signal(String name) {
    try {
      int code = new ProcessBuilder("kill", "-" + name, "" + jvm.pid()).start().waitFor();
      if (code != 0) {
        throw new AssertionError("kill -" + name + ": " + code);
      }
    } catch (IOException | InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  /** Asks it to close its transport and end. */
  void quit() {
    jvm.tell("quit");
    int code = jvm.awaitEnd();
    if (code != 0) {
      throw new AssertionError("exit code " + code);
    }
  }

  boolean isAlive() {
    return jvm.isAlive();
  }

  @Override
  public void close() {
    jvm.close();
  }
}
