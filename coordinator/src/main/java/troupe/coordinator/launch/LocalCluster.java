package troupe.coordinator.launch;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * The nodes of one run as processes of this machine, or the one process of a run without nodes. All
 * methods may be called from any thread. Nodes outlive neither {@link #close} nor this process.
 */
public final class LocalCluster implements AutoCloseable {
  private final JavaCommand java;
  private final int size;
  private final Arguments arguments;
  private final ClusterListener listener;
  private final List<ChildNode> nodes = new ArrayList<>();
  private final List<Ended> ended = new ArrayList<>();
  private int living;
  private boolean stopping;

  /** A process that is gone, in the order of their ends. */
  private record Ended(ChildNode node, Exit exit) {}

  /** What {@code troupe} is told in the process of a node. */
  private interface Arguments {
    List<String> of(int number, List<String> overrides);
  }

  /**
   * A cluster that is yet to be started.
   *
   * @param java whose main class understands {@code node CONFIG KEY=VALUE...}
   */
  public LocalCluster(JavaCommand java, LaunchPlan plan, ClusterListener listener) {
    this(java, plan.nodes(), plan::arguments, listener);
  }

  private LocalCluster(JavaCommand java, int size, Arguments arguments, ClusterListener listener) {
    this.java = java;
    this.size = size;
    this.arguments = arguments;
    this.listener = listener;
  }

  /**
   * {@code troupe train} in a process of its own, yet to be started: it is node 1 here.
   *
   * @param java whose main class understands {@code train CONFIG KEY=VALUE...}
   */
  public static LocalCluster alone(
      JavaCommand java, Path config, List<String> overrides, ClusterListener listener) {
    return new LocalCluster(
        java,
        1,
        (number, more) -> {
          List<String> words =
              new ArrayList<>(List.of("train", config.toString(), ParentWatch.OPTION));
          words.addAll(overrides);
          words.addAll(more);
          return words;
        },
        listener);
  }

  /** Starts all nodes; does nothing if they were told to stop before. */
  public synchronized void start() {
    for (int number = 1; number <= size && !stopping; number++) {
      startNode(number, List.of(), List.of());
    }
  }

  /** The process that is, or last was, this node; counted from 1. */
  public synchronized ChildNode node(int number) {
    return nodes.get(number - 1);
  }

  /** The newest process of each node, by number. */
  public synchronized List<ChildNode> nodes() {
    return List.copyOf(nodes);
  }

  /** The nodes whose process is there. */
  public List<ChildNode> alive() {
    return nodes().stream().filter(ChildNode::isAlive).toList();
  }

  /**
   * Starts a node again whose process is gone: the same name and port, but a new node to the
   * others.
   *
   * @param flags of its JVM beside those of all
   * @param overrides for it alone, each {@code KEY=VALUE}
   * @throws IllegalStateException if its process is there, or all nodes were told to stop
   */
  public ChildNode restart(int number, List<String> flags, List<String> overrides) {
    synchronized (this) {
      if (node(number).isAlive()) {
        throw new IllegalStateException(LaunchPlan.name(number) + " is there (expected: gone)");
      }
      if (stopping) {
        throw new IllegalStateException(
            "all nodes were told to stop (expected: a running cluster)");
      }
      return startNode(number, flags, overrides);
    }
  }

  /** Asks all nodes to stop: together they write a checkpoint. Returns at once. */
  public void stop() {
    synchronized (this) {
      stopping = true;
    }
    nodes().forEach(ChildNode::terminate);
  }

  /** Kills all nodes. Returns at once. */
  public void kill() {
    synchronized (this) {
      stopping = true;
    }
    nodes().forEach(ChildNode::kill);
  }

  /** Waits until every process is gone, those started meanwhile too; whether it came to that. */
  public synchronized boolean awaitEnd(Duration timeout) throws InterruptedException {
    long deadlineNs = System.nanoTime() + timeout.toNanos();
    while (living > 0) {
      long leftMs = (deadlineNs - System.nanoTime()) / 1_000_000;
      if (leftMs <= 0) {
        return false;
      }
      wait(leftMs);
    }
    return true;
  }

  /** Waits until every process is gone. */
  public synchronized void awaitEnd() throws InterruptedException {
    while (living > 0) {
      wait();
    }
  }

  /**
   * The exit code of the run: what the last node said that finished, failed or stopped. Nodes that
   * were killed or cut off say nothing about the run, which went on without them.
   *
   * @return if no node had anything to say: {@link Exit#STOPPED} if they were told to stop, else
   *     {@link Exit#FAILED}
   */
  public synchronized int outcome() {
    return ended.reversed().stream()
        .map(Ended::exit)
        .filter(Exit::decides)
        .findFirst()
        .map(Exit::code)
        .orElse(stopping ? Exit.STOPPED : Exit.FAILED);
  }

  /** Kills what is left and waits for its end. */
  @Override
  public void close() {
    kill();
    try {
      awaitEnd(Duration.ofSeconds(30));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private synchronized ChildNode startNode(int number, List<String> flags, List<String> overrides) {
    ChildNode node =
        ChildNode.start(
            number, java.with(flags).words(arguments.of(number, overrides)), new Ears());
    if (number > nodes.size()) {
      nodes.add(node);
    } else {
      nodes.set(number - 1, node);
    }
    living++;
    listener.started(node);
    return node;
  }

  private final class Ears implements ChildNode.Ears {
    @Override
    public void line(ChildNode node, boolean isError, String line) {
      listener.line(node, isError, line);
    }

    @Override
    public void ended(ChildNode node, Exit exit) {
      synchronized (LocalCluster.this) {
        ended.add(new Ended(node, exit));
      }
      try {
        // Before the count: whoever restarts a node from here keeps the cluster alive.
        listener.ended(node, exit);
      } finally {
        synchronized (LocalCluster.this) {
          living--;
          LocalCluster.this.notifyAll();
        }
      }
    }
  }
}
