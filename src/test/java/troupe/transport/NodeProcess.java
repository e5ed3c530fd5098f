package troupe.transport;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import troupe.Eventually;
import troupe.transport.TransportSettings.Mode;

/** A node in a JVM of its own, {@link NodeMain}, told what to do by lines. */
final class NodeProcess implements AutoCloseable {
  private final Process process;
  private final PrintWriter in;
  private final BufferedReader out;
  private final Endpoint endpoint;

  private NodeProcess(Process process) {
    this.process = process;
    in = new PrintWriter(process.outputWriter(), true);
    out = process.inputReader();
    String[] parts = answer().split("\t");
    endpoint = new Endpoint(Integer.parseInt(parts[0]), parts[1], parts[2], parts[3]);
  }

  /** Starts one with the flags of this JVM and some more; it has begun to listen. */
  static NodeProcess start(Mode mode, int node, Path directory, String... moreFlags) {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
        .filter(flag -> !flag.startsWith("-Xmx") && !flag.contains("agent"))
        .forEach(command::add);
    command.addAll(List.of("-Xmx512m", "-XX:TieredStopAtLevel=1"));
    command.addAll(List.of(moreFlags));
    command.addAll(List.of("-cp", System.getProperty("java.class.path")));
    command.add(NodeMain.class.getName());
    command.addAll(List.of(mode.name(), Integer.toString(node), directory.toString()));
    try {
      return new NodeProcess(
          new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  Endpoint endpoint() {
    return endpoint;
  }

  /** Makes these its peers; batches that reach it go back to the first. */
  void connect(Endpoint... peers) {
    ask(
        "connect "
            + Stream.of(peers)
                .map(
                    p ->
                        "%d\t%s\t%s\t%s"
                            .formatted(p.node(), p.channel(), p.machine(), p.directory()))
                .collect(Collectors.joining("\t")));
  }

  void setEpoch(int epoch) {
    ask("epoch " + epoch);
  }

  /** From now on the next batch that arrives stops its transport's thread for good. */
  void stall() {
    ask("stall");
  }

  /** Whether copies of rows that it picks up stay under way. */
  void setCopying(boolean on) {
    ask("copying " + on);
  }

  /** A counter of it by name, see {@link NodeMain}. */
  long counter(String name) {
    Map<String, Long> counters =
        Stream.of(ask("counters").split(" "))
            .map(pair -> pair.split("="))
            .collect(Collectors.toMap(pair -> pair[0], pair -> Long.valueOf(pair[1])));
    return counters.get(name);
  }

  /** Sends a signal, such as KILL. */
  void signal(String name) {
    try {
      int code = new ProcessBuilder("kill", "-" + name, "" + process.pid()).start().waitFor();
      if (code != 0) {
        throw new AssertionError("kill -" + name + ": " + code);
      }
    } catch (IOException | InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  /** Asks it to close its transport and end. */
  void quit() {
    in.println("quit");
    try {
      if (!process.waitFor(Eventually.TIMEOUT.toSeconds(), TimeUnit.SECONDS)) {
        throw new AssertionError("does not end");
      }
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
    if (process.exitValue() != 0) {
      throw new AssertionError("exit code " + process.exitValue());
    }
  }

  boolean isAlive() {
    return process.isAlive();
  }

  @Override
  public void close() {
    process.destroyForcibly();
  }

  private String ask(String question) {
    in.println(question);
    return answer();
  }

  private String answer() {
    try {
      String line;
      while ((line = out.readLine()) != null) {
        if (line.startsWith(NodeMain.MARK)) {
          return line.substring(NodeMain.MARK.length());
        }
      }
      throw new AssertionError("it ended");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
