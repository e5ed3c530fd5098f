package troupe.coordinator.cli;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import picocli.CommandLine;
import picocli.CommandLine.IExecutionExceptionHandler;
import picocli.CommandLine.ParseResult;
import troupe.coordinator.run.RunFailedException;
import troupe.core.UserException;
import troupe.core.tensor.DeviceException;

/**
 * Tells people what went wrong in two lines; the stack trace goes to the log of the run, or to a
 * file of its own.
 */
final class FailureHandler implements IExecutionExceptionHandler {
  @Override
  public int handleExecutionException(Exception thrown, CommandLine verb, ParseResult parsed) {
    Throwable failure = unwrapped(thrown);
    return tell(failure, verb.getErr());
  }

  /** Prints what was thrown as a user should see it; returns the exit code. */
  static int tell(Throwable failure, PrintWriter err) {
    return switch (failure) {
      case UserException mistake -> {
        print(err, mistake.getMessage(), mistake.hint());
        yield ExitCode.MISTAKE;
      }
      case RunFailedException failed -> {
        print(err, failed.getMessage(), failed.hint());
        yield failed.isMistake() ? ExitCode.MISTAKE : ExitCode.FAILED;
      }
      case DeviceException device when !device.hint().isEmpty() -> {
        print(
            err, device.line(), device.hint() + "; the stack trace is in " + RunLog.record(device));
        yield ExitCode.FAILED;
      }
      case InterruptedException interrupted -> {
        print(err, "interrupted", "run the same command again; train takes resume=true");
        yield ExitCode.INTERRUPTED;
      }
      case CancellationException cancelled -> {
        print(err, "interrupted", "run the same command again; train takes resume=true");
        yield ExitCode.INTERRUPTED;
      }
      default -> {
        Path log = RunLog.record(failure);
        String name = failure.getClass().getSimpleName();
        String message = failure.getMessage();
        print(
            err,
            message == null ? name : name + ": " + message.lines().findFirst().orElse(""),
            "this is not your mistake; the stack trace is in " + log);
        yield ExitCode.FAILED;
      }
    };
  }

  /** Prints one {@code error:} line for each line of {@code message}, then the hint. */
  static void print(PrintWriter err, String message, String hint) {
    message.lines().forEach(line -> err.println("error: " + line));
    err.println("HINT: " + hint);
    err.flush();
  }

  /** What was thrown first, behind the wrappers of futures. */
  private static Throwable unwrapped(Throwable thrown) {
    boolean wraps = thrown instanceof CompletionException || thrown instanceof ExecutionException;
    return wraps && thrown.getCause() != null ? unwrapped(thrown.getCause()) : thrown;
  }
}
