package troupe.coordinator.launch;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.stream.Stream;
import troupe.coordinator.events.EventLog;
import troupe.coordinator.events.NodesFile;
import troupe.coordinator.events.RunEvent;

/**
 * Nodes that keep each other alive by a file each in the folder of the run, of which the lowest
 * plays the coordinator: it commits a step every few milliseconds, and at every change of nodes
 * begins an epoch a few steps back. Writes the files that a real run writes. A node that stood
 * still for too long ends, as one does that the others gave up.
 */
final class FakeRun {
  private static final long STEP_MS = 10;

  /** Others are given up when they were silent for so long ... */
  private static final long GIVEN_UP_MS = 3_500;

  /** ... and a node itself when it stood still for longer, which a busy machine must not do. */
  private static final long STOOD_STILL_MS = 4_000;

  private static final long ROLLED_BACK = 3;

  private final Path folder;
  private final Path beats;
  private final String name;
  private final int awaited;
  private final boolean neverRecovers;
  private SortedSet<String> nodes = new TreeSet<>();
  private boolean leads;
  private long step;
  private EventLog events;

  FakeRun(Path folder, String name, int awaited, boolean neverRecovers) throws IOException {
    this.folder = folder;
    this.beats = Files.createDirectories(folder.resolve("beats"));
    this.name = name;
    this.awaited = awaited;
    this.neverRecovers = neverRecovers;
  }

  /** What {@code troupe move} does: the coordinator finds a file with the name of the target. */
  static void move(Path folder, String target) throws IOException {
    Files.writeString(folder.resolve("move"), target);
  }

  synchronized void train() throws IOException, InterruptedException {
    Runtime.getRuntime().addShutdownHook(new Thread(this::stop));
    long lastMs = System.currentTimeMillis();
    while (true) {
      long nowMs = System.currentTimeMillis();
      if (nowMs - lastMs > STOOD_STILL_MS) {
        Runtime.getRuntime().halt(Exit.CUT_OFF);
      }
      lastMs = nowMs;
      replace(beats.resolve(name), Long.toString(ProcessHandle.current().pid()));
      look(nowMs);
      wait(STEP_MS);
    }
  }

  private void look(long nowMs) throws IOException {
    SortedSet<String> found = living(nowMs);
    leads &= found.first().equals(name);
    boolean begun = Files.exists(folder.resolve("nodes.json"));
    if (!found.first().equals(name) || (!begun && found.size() < awaited)) {
      return;
    }
    boolean moves = Files.deleteIfExists(folder.resolve("move"));
    if (!leads || !found.equals(nodes) || moves) {
      if (neverRecovers && leads && found.size() < nodes.size()) {
        return;
      }
      beginEpoch(found);
    }
    step++;
    append("metrics.jsonl", "{\"step\":%d,\"loss\":%d.5,\"at\":%d}".formatted(step, step, nowMs));
    if (step % 5 == 0) {
      System.out.printf("step %d/1000  loss 1%n", step);
    }
  }

  private void beginEpoch(SortedSet<String> found) throws IOException {
    if (!leads) {
      long committed = Files.exists(folder.resolve("metrics.jsonl")) ? lastStep() : 0;
      step = Math.max(0, committed - ROLLED_BACK);
      rewriteWithout(step);
      events =
          EventLog.takeOver(
              folder.resolve(EventLog.FILE_NAME), System.out::println, InstantSource.system());
    }
    leads = true;
    nodes = found;
    Path file = folder.resolve(NodesFile.FILE_NAME);
    int epoch = Files.exists(file) ? NodesFile.read(file).epoch() + 1 : 1;
    List<NodesFile.Node> table = new ArrayList<>();
    for (String node : found) {
      long pid = Long.parseLong(Files.readString(beats.resolve(node)));
      table.add(new NodesFile.Node(node, 1, pid, "here:1", NodesFile.State.UP, node.equals(name)));
    }
    new NodesFile(epoch, table).write(file);
    events.append(new RunEvent.EpochBegan(epoch, "nodes are " + found, step));
  }

  private synchronized void stop() {
    if (leads) {
      try {
        Files.writeString(folder.resolve("final"), Long.toString(step));
      } catch (IOException e) {
        Runtime.getRuntime().halt(Exit.FAILED);
      }
    }
    Runtime.getRuntime().halt(Exit.STOPPED);
  }

  private SortedSet<String> living(long nowMs) throws IOException {
    SortedSet<String> living = new TreeSet<>(List.of(name));
    try (Stream<Path> files = Files.list(beats)) {
      for (Path file : files.filter(path -> !path.toString().endsWith(".tmp")).toList()) {
        if (nowMs - Files.getLastModifiedTime(file).toMillis() < GIVEN_UP_MS) {
          living.add(file.getFileName().toString());
        }
      }
    }
    return living;
  }

  private long lastStep() throws IOException {
    List<String> lines = Files.readAllLines(folder.resolve("metrics.jsonl"));
    String last = lines.isEmpty() ? "{\"step\":0," : lines.getLast();
    return Long.parseLong(last.substring("{\"step\":".length(), last.indexOf(',')));
  }

  private void rewriteWithout(long after) throws IOException {
    Path metrics = folder.resolve("metrics.jsonl");
    List<String> kept =
        Files.exists(metrics)
            ? Files.readAllLines(metrics).stream().limit(after).toList()
            : List.of();
    replace(metrics, kept.isEmpty() ? "" : String.join("\n", kept) + "\n");
  }

  private void append(String file, String line) throws IOException {
    Files.writeString(
        folder.resolve(file), line + "\n", StandardOpenOption.CREATE, StandardOpenOption.APPEND);
  }

  private void replace(Path file, String text) throws IOException {
    Path next = file.resolveSibling(file.getFileName() + "." + name + ".tmp");
    Files.writeString(next, text);
    Files.move(next, file, StandardCopyOption.ATOMIC_MOVE);
  }
}
