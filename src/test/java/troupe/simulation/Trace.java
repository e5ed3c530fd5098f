package troupe.simulation;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.function.Consumer;

/** What happened in a schedule: a hash of all of it, and its end for people to read. */
final class Trace {
  private static final int KEPT = 60;

  private record Entry(long nowNs, int node, String who, String what, Object details) {
    @Override
    public String toString() {
      return "%12.6f s  %-3s %-12s %s %s"
          .formatted(nowNs / 1e9, node < 0 ? "" : NodePath.nameOf(node), who, what, details);
    }
  }

  private String headline = "";
  private final Deque<Entry> last = new ArrayDeque<>();
  private Consumer<String> sink;
  private long hash;
  private long length;

  /**
   * Something happened.
   *
   * @param who to whom
   * @param what what it was
   * @param details for people; not hashed, for its text may hold addresses
   */
  void add(long nowNs, int node, String who, String what, Object details) {
    mix(nowNs);
    mix(node);
    mix(who.hashCode());
    mix(what.hashCode());
    length++;
    Entry entry = new Entry(nowNs, node, who, what, details);
    if (sink != null) {
      sink.accept(entry.toString());
    }
    if (last.size() == KEPT) {
      last.removeFirst();
    }
    last.addLast(entry);
  }

  /** Hashes something that is part of the last entry. */
  void mix(long value) {
    hash = (hash ^ value) * 0x9E3779B97F4A7C15L;
    hash ^= hash >>> 32;
  }

  /** The same for the same schedule. */
  long hash() {
    return hash;
  }

  /** Entries so far. */
  long length() {
    return length;
  }

  /** A new schedule begins; {@code what} says what is going to go wrong in it. */
  void begin(String what) {
    last.clear();
    headline = what;
    hash = 0;
    length = 0;
    if (sink != null) {
      sink.accept(what);
    }
  }

  /** Every entry from now on is also told to {@code consumer}, unless that is {@code null}. */
  void copyTo(Consumer<String> consumer) {
    sink = consumer;
  }

  /** What was planned to go wrong and the last entries, a line each. */
  @Override
  public String toString() {
    StringBuilder text = new StringBuilder("  ").append(headline).append('\n');
    last.forEach(entry -> text.append("  ").append(entry).append('\n'));
    return text.toString();
  }
}
