package troupe.coordinator.cli;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.filter.Filter;
import ch.qos.logback.core.spi.FilterReply;

/**
 * What the log shows on the console: warnings, but of Akka only errors. What its warnings are about
 * (nodes that are suspected, connections that end) a run tells in its own words; the file has both.
 */
public final class ConsoleFilter extends Filter<ILoggingEvent> {
  @Override
  public FilterReply decide(ILoggingEvent event) {
    Level least = event.getLoggerName().startsWith("akka.") ? Level.ERROR : Level.WARN;
    return event.getLevel().isGreaterOrEqual(least) ? FilterReply.NEUTRAL : FilterReply.DENY;
  }
}
