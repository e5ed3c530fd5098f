package troupe.coordinator.chaos;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import troupe.coordinator.launch.MergedLog;

/** What happens, told to people as it does, and what should not have happened. For all threads. */
final class Diary {
  private final MergedLog log;
  private final List<String> problems = new ArrayList<>();
  private volatile long beginMs = Onlooker.nowMs();

  Diary(MergedLog log) {
    this.log = log;
  }

  /** Counts time from now on; returns the time it is. */
  long begin() {
    beginMs = Onlooker.nowMs();
    return beginMs;
  }

  void say(String format, Object... arguments) {
    log.note(
        String.format(
            Locale.ROOT,
            "chaos      %7.1f s  %s",
            (Onlooker.nowMs() - beginMs) / 1e3,
            String.format(Locale.ROOT, format, arguments)));
  }

  void problem(String problem) {
    synchronized (problems) {
      problems.add(problem);
    }
    log.warn("chaos      problem: " + problem);
  }

  List<String> problems() {
    synchronized (problems) {
      return List.copyOf(problems);
    }
  }
}
