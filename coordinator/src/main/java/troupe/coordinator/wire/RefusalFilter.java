package troupe.coordinator.wire;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.turbo.TurboFilter;
import ch.qos.logback.core.spi.FilterReply;
import org.slf4j.LoggerFactory;
import org.slf4j.Marker;

/**
 * Artery logs whom a message came from and hides why it was refused in the exception below; this
 * makes one line of both, and few lines of many. Named in {@code logback.xml}.
 */
public final class RefusalFilter extends TurboFilter {
  private static final org.slf4j.Logger LOG = LoggerFactory.getLogger(RefusalFilter.class);
  private static final int LINES_AT_ONCE = 10;
  private static final long NANOS_PER_LINE = 1_000_000_000;

  private final LogThrottle throttle =
      new LogThrottle(LINES_AT_ONCE, NANOS_PER_LINE, System.nanoTime());

  @Override
  public FilterReply decide(
      Marker marker, Logger logger, Level level, String format, Object[] values, Throwable cause) {
    if (!(cause instanceof RefusedException)) {
      return FilterReply.NEUTRAL;
    }
    long silent = throttle.ask(System.nanoTime());
    if (silent >= 0) {
      LOG.warn(
          "{} {}{}", format, cause.getMessage(), silent == 0 ? "" : " (and " + silent + " more)");
    }
    return FilterReply.DENY;
  }
}
