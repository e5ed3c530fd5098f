package troupe.coordinator.launch;

import java.io.PrintWriter;
import java.util.regex.Pattern;

/**
 * The output of all nodes as one, each line with its node's name. On a terminal the progress of
 * training is one line at the bottom that is written over; elsewhere progress lines are lines like
 * others, but the same one is never printed twice in a row.
 */
public final class MergedLog {
  /** What {@code troupe node} prints as it goes on, on the node of the coordinator. */
  private static final Pattern PROGRESS = Pattern.compile("step +[0-9]+/[0-9]+ .*");

  /** What every JVM of Troupe says as it starts; this one has said it already. */
  private static final String INCUBATOR = "WARNING: Using incubator modules: jdk.incubator.vector";

  private static final String ERASE_LINE = "\r\u001b[2K";

  /** Around a line that must not take two rows, or erasing it would leave the first. */
  private static final String NO_WRAP = "\u001b[?7l";

  private static final String WRAP = "\u001b[?7h";
  private static final String RESET = "\u001b[0m";

  /** Cyan, yellow, green, magenta, blue: not red, which says error. */
  private static final int[] COLOURS = {36, 33, 32, 35, 34};

  private final PrintWriter out;
  private final PrintWriter err;
  private final boolean isTerminal;
  private final int nameWidth;
  private String progress = "";

  /**
   * A log for nodes 1 to {@code nodes}.
   *
   * @param isTerminal whether a person watches: colours, and progress in place
   */
  public MergedLog(PrintWriter out, PrintWriter err, boolean isTerminal, int nodes) {
    this.out = out;
    this.err = err;
    this.isTerminal = isTerminal;
    this.nameWidth = LaunchPlan.name(nodes).length();
  }

  /** Whether this process writes to a terminal of someone who did not ask for plain text. */
  public static boolean onTerminal() {
    return System.console() != null
        && System.console().isTerminal()
        && System.getenv("NO_COLOR") == null
        && !"dumb".equals(System.getenv("TERM"));
  }

  /** A line of a node. */
  public synchronized void line(int number, boolean isError, String text) {
    if (text.equals(INCUBATOR)) {
      return;
    }
    String line = prefix(number) + text;
    if (!isError && PROGRESS.matcher(text).matches()) {
      progress(line);
    } else {
      print(isError ? err : out, line);
    }
  }

  /** A line of this process about the cluster. */
  public synchronized void note(String text) {
    print(out, text);
  }

  /** A line of this process about what went wrong. */
  public synchronized void warn(String text) {
    print(err, isTerminal ? "\u001b[31m" + text + RESET : text);
  }

  /** Ends the line of progress, so that the next output begins on its own. */
  public synchronized void close() {
    if (isTerminal && !progress.isEmpty()) {
      out.println();
    }
    progress = "";
    out.flush();
    err.flush();
  }

  private void progress(String line) {
    if (line.equals(progress)) {
      return;
    }
    progress = line;
    if (isTerminal) {
      out.print(ERASE_LINE + NO_WRAP + line + WRAP);
    } else {
      out.println(line);
    }
    out.flush();
  }

  private void print(PrintWriter writer, String line) {
    boolean covers = isTerminal && !progress.isEmpty();
    if (covers) {
      out.print(ERASE_LINE);
      out.flush();
    }
    writer.println(line);
    writer.flush();
    if (covers) {
      out.print(NO_WRAP + progress + WRAP);
      out.flush();
    }
  }

  private String prefix(int number) {
    String name = LaunchPlan.name(number);
    String padded = name + " ".repeat(Math.max(0, nameWidth - name.length())) + " | ";
    return isTerminal
        ? "\u001b[" + COLOURS[(number - 1) % COLOURS.length] + "m" + padded + RESET
        : padded;
  }
}
