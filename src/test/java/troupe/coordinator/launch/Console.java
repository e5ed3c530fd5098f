package troupe.coordinator.launch;

import java.io.PrintWriter;
import java.io.StringWriter;

/** What people would see, for tests; safe to read while others print. */
public final class Console {
  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  /** A log that prints to here. */
  public MergedLog log(boolean isTerminal, int nodes) {
    return new MergedLog(new PrintWriter(out), new PrintWriter(err), isTerminal, nodes);
  }

  /** What was printed to standard output. */
  public String out() {
    return out.toString();
  }

  /** What was printed to standard error. */
  public String err() {
    return err.toString();
  }

  @Override
  public String toString() {
    return "out:\n" + out + "\nerr:\n" + err;
  }
}
