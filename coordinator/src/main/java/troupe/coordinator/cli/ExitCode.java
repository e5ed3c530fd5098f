package troupe.coordinator.cli;

/** How {@code troupe} ends; other people's scripts rely on these numbers. */
final class ExitCode {
  static final int DONE = 0;
  static final int FAILED = 1;
  static final int MISTAKE = 2;

  /** 128 + SIGINT, as shells have it. */
  static final int INTERRUPTED = 130;

  private ExitCode() {}
}
