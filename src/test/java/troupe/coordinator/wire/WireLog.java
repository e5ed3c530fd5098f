package troupe.coordinator.wire;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.LoggerContext;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.AppenderBase;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.slf4j.LoggerFactory;

/** What is logged of refused messages while it is open, with the filter that ships. */
final class WireLog extends AppenderBase<ILoggingEvent> implements AutoCloseable {
  private final LoggerContext context = (LoggerContext) LoggerFactory.getILoggerFactory();
  private final Logger root = context.getLogger(Logger.ROOT_LOGGER_NAME);
  private final BlockingQueue<String> lines = new LinkedBlockingQueue<>();
  private final AtomicInteger count = new AtomicInteger();
  private final RefusalFilter filter = new RefusalFilter();

  static WireLog open() {
    WireLog log = new WireLog();
    log.setContext(log.context);
    log.start();
    log.root.addAppender(log);
    log.context.addTurboFilter(log.filter);
    return log;
  }

  @Override
  protected void append(ILoggingEvent event) {
    if (event.getLevel().isGreaterOrEqual(Level.WARN)
        && (event.getThrowableProxy() != null || event.getFormattedMessage().contains("refused"))) {
      count.incrementAndGet();
      lines.add(event.getFormattedMessage());
    }
  }

  /** The next line that contains {@code part}. */
  String await(String part) throws InterruptedException {
    for (String line = next(); ; line = next()) {
      if (line.contains(part)) {
        return line;
      }
    }
  }

  private String next() throws InterruptedException {
    String line = lines.poll(30, TimeUnit.SECONDS);
    if (line == null) {
      throw new AssertionError("not logged");
    }
    return line;
  }

  int count() {
    return count.get();
  }

  @Override
  public void close() {
    context.getTurboFilterList().remove(filter);
    root.detachAppender(this);
    stop();
  }
}
