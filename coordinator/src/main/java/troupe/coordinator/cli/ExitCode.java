package troupe.coordinator.cli;

/** How {@code troupe} ends; other people's scripts rely on these numbers. */
final class ExitCode {
  static final int DONE = 0;
  static final int FAILED = 1;
  static final int MISTAKE = 2;

  /** The majority of nodes goes on without this one. */
  static final int CUT_OFF = 3;

  /** 128 + SIGINT, as shells have it. */
  static final int INTERRUPTED = 130;

  private ExitCode() {}
}
