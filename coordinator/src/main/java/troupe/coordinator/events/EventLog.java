package troupe.coordinator.events;

import java.io.IOException;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import troupe.coordinator.files.LineLog;

/**
 * Tells what happens to a run: a line of JSON in its folder, and one for people. A disk that is
 * full or cannot be written costs lines of the file, never the run. For one thread, and for the
 * last process that took it over.
 */
public final class EventLog implements AutoCloseable {
  /** The name of the file in the folder of a run. */
  public static final String FILE_NAME = "events.jsonl";

  private static final Logger LOG = LoggerFactory.getLogger(EventLog.class);
  private static final String WHAT = "events";

  private final LineLog lines;
  private final Consumer<String> console;
  private final InstantSource clock;

  private EventLog(LineLog lines, Consumer<String> console, InstantSource clock) {
    this.lines = lines;
    this.console = console;
    this.clock = clock;
  }

  EventLog(WritableByteChannel channel, Consumer<String> console, InstantSource clock) {
    this(new LineLog(channel, clock, LOG, WHAT), console, clock);
  }

  /**
   * Goes on with the events of a run, or begins them. A process that wrote them before writes into
   * the file no more; what is left of a torn line is dropped.
   *
   * @param console gets a line for people at each event
   */
  public static EventLog takeOver(Path file, Consumer<String> console, InstantSource clock) {
    LineLog lines;
    try {
      lines = LineLog.takeOver(file, EventJson::isEvent, LOG, WHAT);
    } catch (IOException e) {
      lines = LineLog.nowhere(e, clock, LOG, WHAT);
    }
    return new EventLog(lines, console, clock);
  }

  /** Tells of an event that happens now. */
  public void append(RunEvent event) {
    lines.append(EventJson.toLine(event, clock.instant()));
    console.accept(EventLine.of(event));
  }

  /** How many events are not in the file. */
  public long lost() {
    return lines.lost();
  }

  /** Closes the file. */
  @Override
  public void close() {
    lines.close();
  }
}
