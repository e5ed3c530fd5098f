package troupe.coordinator.launch;

import java.util.Map;

/**
 * How a node ended.
 *
 * @param code the exit code; 128 + N if signal N ended the process
 */
public record Exit(int code) {
  /** The run is complete, or the node left it in good order. */
  public static final int DONE = 0;

  /** The node, or the run, could not go on. */
  public static final int FAILED = 1;

  /** Something for the user to correct. */
  public static final int MISTAKE = 2;

  /** The node could not see the majority of the others. */
  public static final int CUT_OFF = 3;

  /** Stopped by request, with a checkpoint. */
  public static final int STOPPED = 130;

  private static final int SIGNAL = 128;
  private static final Map<Integer, String> SIGNALS =
      Map.of(
          1, "SIGHUP", 2, "SIGINT", 4, "SIGILL", 6, "SIGABRT", 7, "SIGBUS", 8, "SIGFPE", 9,
          "SIGKILL", 11, "SIGSEGV", 15, "SIGTERM");

  /** Whether it says something about the run, not only about the node. */
  boolean decides() {
    return code == DONE || code == FAILED || code == MISTAKE || code == STOPPED;
  }

  /** Whether the node left without being asked and without having finished. */
  boolean isDeath() {
    return code != DONE && code != STOPPED;
  }

  /** In words, such as {@code was killed (SIGKILL)}. */
  @Override
  public String toString() {
    return switch (code) {
      case DONE -> "ended";
      case FAILED -> "failed (exit code 1)";
      case MISTAKE -> "has something for you to correct (exit code 2)";
      case CUT_OFF -> "was cut off from the others (exit code 3)";
      case STOPPED -> "stopped";
      default ->
          code > SIGNAL && code <= SIGNAL + 64
              ? "was killed ("
                  + SIGNALS.getOrDefault(code - SIGNAL, "signal " + (code - SIGNAL))
                  + ")"
              : "ended with exit code " + code;
    };
  }
}
