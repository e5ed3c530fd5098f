package troupe.coordinator.bench;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** The newest lines that processes wrote to their standard error, to be told if they fail. */
final class LastWords {
  private static final int MOST_LINES = 6;
  private static final String ERROR = "error: ";
  private static final String HINT = "HINT: ";

  /** What a JVM says of itself as it starts. */
  private static final String WARNING = "WARNING: ";

  private final Map<Integer, Deque<String>> lines = new HashMap<>();

  /** A process wrote a line. */
  synchronized void heard(int number, String line) {
    if (line.startsWith(WARNING)) {
      return;
    }
    Deque<String> newest = lines.computeIfAbsent(number, key -> new ArrayDeque<>());
    newest.addLast(line);
    if (newest.size() > MOST_LINES) {
      newest.removeFirst();
    }
  }

  /** What it said went wrong, oldest first, without the mark of an error. */
  synchronized List<String> errors(int number) {
    return newest(number).stream()
        .filter(line -> !line.startsWith(HINT))
        .map(line -> line.startsWith(ERROR) ? line.substring(ERROR.length()) : line)
        .toList();
  }

  /** What it said one can do. */
  synchronized Optional<String> hint(int number) {
    return newest(number).reversed().stream()
        .filter(line -> line.startsWith(HINT))
        .map(line -> line.substring(HINT.length()))
        .findFirst();
  }

  private List<String> newest(int number) {
    return List.copyOf(lines.getOrDefault(number, new ArrayDeque<>()));
  }
}
