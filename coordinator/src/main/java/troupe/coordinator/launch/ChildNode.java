package troupe.coordinator.launch;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import troupe.core.UserException;

/**
 * One process of a node. A node that is started again is another {@code ChildNode} of the same
 * number and name.
 */
public final class ChildNode {
  /** Told each line that a node prints, and its end once nothing more will be printed. */
  interface Ears {
    void line(ChildNode node, boolean isError, String line);

    void ended(ChildNode node, Exit exit);
  }

  /**
   * The terminal sends its Ctrl-C to all processes it sees, which would end the nodes in no order.
   * A signal that is ignored when a JVM starts stays ignored; exec keeps the process.
   */
  private static final List<String> DEAF_TO_TERMINAL =
      List.of("/bin/sh", "-c", "trap '' INT HUP; exec \"$0\" \"$@\"");

  /** Ends the pause by itself if this process dies: the end of its input is as good as a word. */
  private static final String PAUSE =
      "trap '' INT HUP; kill -STOP \"$0\" || exit 1; echo; read -r word; kill -CONT \"$0\"";

  /** For what a process that is gone printed last: a busy machine needs seconds to read it. */
  private static final Duration LAST_WORDS = Duration.ofSeconds(30);

  private static final int KEPT_ERROR_LINES = 20;

  private final int number;
  private final HeardProcess heard;
  private final Process process;
  private final long startNs = System.nanoTime();
  private final Deque<String> errorLines = new ArrayDeque<>();
  private final CompletableFuture<Exit> exit = new CompletableFuture<>();
  private Process pause;

  private ChildNode(int number, HeardProcess heard) {
    this.number = number;
    this.heard = heard;
    this.process = heard.process();
  }

  /**
   * Starts a node in the working directory of this process.
   *
   * @throws UserException if there is no place for what it prints
   * @throws UncheckedIOException if the process cannot be started
   */
  static ChildNode start(int number, List<String> command, Ears ears) {
    List<String> words = new ArrayList<>(DEAF_TO_TERMINAL);
    words.addAll(command);
    ChildNode node = new ChildNode(number, HeardProcess.start(words));
    Thread out = node.follow(node.heard.out(), false, ears);
    Thread err = node.follow(node.heard.err(), true, ears);
    thread(node.name() + "-exit", () -> node.awaitExit(out, err, ears));
    return node;
  }

  /** Counted from 1. */
  public int number() {
    return number;
  }

  /** What people call it. */
  public String name() {
    return LaunchPlan.name(number);
  }

  /** The process. */
  public long pid() {
    return process.pid();
  }

  /** Whether the process is there, paused or not. */
  public boolean isAlive() {
    return process.isAlive();
  }

  /** How it ended, once it has and all it printed was heard. */
  public CompletableFuture<Exit> onExit() {
    return exit.copy();
  }

  /** Kills it where it stands, as kill -9 does. */
  public void kill() {
    process.toHandle().destroyForcibly();
    resume();
  }

  /** Asks it to leave in good order, as kill -TERM does. */
  public void terminate() {
    // Not Process.destroy: that closes its input, too, which says that this process is gone.
    process.toHandle().destroy();
    resume();
  }

  /**
   * Halts it where it stands, as kill -STOP does, until {@link #resume} or the end of this process.
   *
   * @throws IllegalStateException if it is gone
   */
  public synchronized void pause() {
    if (pause != null) {
      return;
    }
    Process shell = startShell(PAUSE, Long.toString(process.pid()));
    try {
      if (shell.getInputStream().read() < 0) {
        throw new IllegalStateException(name() + " is gone (expected: a process to pause)");
      }
    } catch (IOException e) {
      shell.destroyForcibly();
      throw new UncheckedIOException(e);
    }
    pause = shell;
  }

  /** Lets it go on after {@link #pause}; nothing happens if it is not paused. */
  public synchronized void resume() {
    if (pause == null) {
      return;
    }
    try {
      pause.getOutputStream().close();
      pause.waitFor();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    pause = null;
  }

  /** Waits for its end; whether it came in time. */
  public boolean awaitExit(Duration timeout) throws InterruptedException {
    try {
      exit.get(timeout.toNanos(), TimeUnit.NANOSECONDS);
      return true;
    } catch (TimeoutException e) {
      return false;
    } catch (ExecutionException e) {
      throw new IllegalStateException(e);
    }
  }

  /** How long ago it was started. */
  Duration age() {
    return Duration.ofNanos(System.nanoTime() - startNs);
  }

  /** The newest lines that it printed to its standard error, oldest first. */
  List<String> errorLines(int most) {
    synchronized (errorLines) {
      List<String> lines = List.copyOf(errorLines);
      return lines.subList(Math.max(0, lines.size() - most), lines.size());
    }
  }

  private static Process startShell(String script, String argument) {
    try {
      return new ProcessBuilder("/bin/sh", "-c", script, argument).start();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private Thread follow(OutputPipe pipe, boolean isError, Ears ears) {
    return thread(
        name() + (isError ? "-err" : "-out"),
        () -> {
          try {
            pipe.readLines(
                line -> {
                  if (isError) {
                    keep(line);
                  }
                  ears.line(this, isError, line);
                });
          } catch (IOException e) {
            // Closed: the process is about to be reported as ended.
          }
        });
  }

  private static Thread thread(String name, Runnable work) {
    return Thread.ofPlatform().daemon().name(name).start(work);
  }

  private void keep(String line) {
    synchronized (errorLines) {
      errorLines.addLast(line);
      if (errorLines.size() > KEPT_ERROR_LINES) {
        errorLines.removeFirst();
      }
    }
  }

  private void awaitExit(Thread out, Thread err, Ears ears) {
    try {
      int code = process.waitFor();
      awaitLastWords(out, err);
      resume();
      Exit ended = new Exit(code);
      ears.ended(this, ended);
      exit.complete(ended);
    } catch (InterruptedException e) {
      exit.completeExceptionally(e);
    }
  }

  private void awaitLastWords(Thread out, Thread err) throws InterruptedException {
    try (OutputPipe outPipe = heard.out();
        OutputPipe errPipe = heard.err()) {
      outPipe.end();
      errPipe.end();
      out.join(LAST_WORDS);
      err.join(LAST_WORDS);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
