package troupe.coordinator.cli;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.LoggerContext;
import ch.qos.logback.classic.encoder.PatternLayoutEncoder;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.classic.spi.LoggingEvent;
import ch.qos.logback.core.FileAppender;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.slf4j.LoggerFactory;
import troupe.core.UserException;

/**
 * The log file of a run, from info upwards with stack traces; the console shows warnings without
 * them. Logback is only touched here.
 */
final class RunLog implements AutoCloseable {
  /** The name of the file in the folder of its run. */
  static final String FILE = "troupe.log";

  private static final String PATTERN =
      "%date{yyyy-MM-dd'T'HH:mm:ss.SSSXXX} %-5level [%thread] %logger{20}: %msg%n";

  private static RunLog open;

  private final Path file;
  private final FileAppender<ILoggingEvent> appender;

  private RunLog(Path file, FileAppender<ILoggingEvent> appender) {
    this.file = file;
    this.appender = appender;
  }

  /**
   * Appends everything that is logged from now on to {@code troupe.log} in the folder of the run.
   *
   * @throws UserException if the file cannot be written
   */
  static synchronized RunLog open(Path runFolder) {
    return openFile(runFolder.resolve(FILE));
  }

  /**
   * Appends everything that is logged from now on to {@code troupe-NODE.log} in the folder of the
   * run.
   *
   * @throws UserException if the file cannot be written
   */
  static synchronized RunLog open(Path runFolder, String node) {
    return openFile(runFolder.resolve("troupe-" + node.replaceAll("[^A-Za-z0-9.-]", "_") + ".log"));
  }

  /**
   * Writes the stack trace to the log that is open, or to a new temporary file.
   *
   * @return that file
   */
  static synchronized Path record(Throwable failure) {
    if (open != null) {
      open.append(failure);
      return open.file;
    }
    try (RunLog log = openFile(Files.createTempFile("troupe-", ".log"))) {
      log.append(failure);
      return log.file;
    } catch (IOException e) {
      throw new UserException(
          "temporary folder: " + System.getProperty("java.io.tmpdir") + " (expected: writable)",
          "free some space, or set -Djava.io.tmpdir",
          failure);
    }
  }

  @Override
  public void close() {
    synchronized (RunLog.class) {
      root().detachAppender(appender);
      appender.stop();
      if (open == this) {
        open = null;
      }
    }
  }

  private static RunLog openFile(Path file) {
    LoggerContext context = root().getLoggerContext();
    PatternLayoutEncoder encoder = new PatternLayoutEncoder();
    encoder.setContext(context);
    encoder.setPattern(PATTERN);
    encoder.setCharset(StandardCharsets.UTF_8);
    encoder.start();
    FileAppender<ILoggingEvent> appender = new FileAppender<>();
    appender.setContext(context);
    appender.setName(file.toString());
    appender.setFile(file.toString());
    appender.setEncoder(encoder);
    appender.start();
    if (!appender.isStarted()) {
      throw new UserException(
          "log: " + file + " (expected: writable)", "set run.dir to a folder that you may write");
    }
    root().addAppender(appender);
    open = new RunLog(file, appender);
    return open;
  }

  /** Past the console, which would show it a second time. */
  private void append(Throwable failure) {
    appender.doAppend(
        new LoggingEvent(
            RunLog.class.getName(), root(), Level.ERROR, "troupe failed", failure, new Object[0]));
  }

  private static Logger root() {
    return (Logger) LoggerFactory.getLogger(org.slf4j.Logger.ROOT_LOGGER_NAME);
  }
}
