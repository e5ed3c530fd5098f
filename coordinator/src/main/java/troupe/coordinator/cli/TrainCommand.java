package troupe.coordinator.cli;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;
import troupe.coordinator.events.Outcome;
import troupe.coordinator.launch.ParentWatch;
import troupe.coordinator.metrics.Report;
import troupe.coordinator.run.RunFailedException;
import troupe.coordinator.run.RunFolder;
import troupe.coordinator.run.TrainingSession;
import troupe.core.checkpoint.RunLock;
import troupe.core.config.RunConfig;

/** {@code troupe train}: trains a model in its run folder, or goes on with it. */
@Command(
    name = "train",
    description = {
      "Trains a model. The run lives in run.dir (runs/NAME for configs/NAME.conf): resolved config,",
      "metrics.jsonl, log, checkpoints and report.html. Ctrl-C writes a checkpoint and ends."
    },
    footer = {
      "",
      "Examples:",
      "  troupe train configs/quickstart.conf",
      "  troupe train configs/quickstart.conf gate.type=switch run.dir=runs/switch",
      "  troupe train configs/quickstart.conf resume=true",
      "  troupe train configs/quickstart.conf data.source=text data.path=mybook.txt run.dir=runs/book"
    })
final class TrainCommand implements Callable<Integer> {
  /** How long Ctrl-C waits for the step at hand and its checkpoint. */
  private static final Duration STOP_TIMEOUT = Duration.ofMinutes(2);

  @Spec private CommandSpec spec;

  @Option(
      names = ParentWatch.OPTION,
      hidden = true,
      description = "Stops when standard input ends: whoever started this process is gone.")
  private boolean watchStdin;

  @Mixin private ConfigArguments config;

  @Override
  public Integer call() {
    RunConfig run = config.load();
    try (RunLock _ = RunLock.acquire(Path.of(run.run().dir()))) {
      RunFolder folder = RunFolder.enter(run);
      try (RunLog _ = RunLog.open(folder.path())) {
        return train(run, folder);
      }
    }
  }

  private int train(RunConfig run, RunFolder folder) {
    PrintWriter out = spec.commandLine().getOut();
    TrainingSession session = new TrainingSession(run, folder, new TrainProgress(run, out));
    CountDownLatch ended = new CountDownLatch(1);
    Thread interrupt = new Thread(() -> onInterrupt(session, ended), "interrupt");
    Runtime.getRuntime().addShutdownHook(interrupt);
    if (watchStdin) {
      ParentWatch.start(System.in, () -> System.exit(ExitCode.INTERRUPTED));
    }
    try {
      return report(session.run(), folder);
    } finally {
      ended.countDown();
      removeHook(interrupt);
    }
  }

  private int report(Outcome outcome, RunFolder folder) {
    PrintWriter out = spec.commandLine().getOut();
    return switch (outcome) {
      case Outcome.Completed completed -> {
        out.printf("%nreport     %s%n", folder.file(Report.FILE_NAME));
        yield ExitCode.DONE;
      }
      case Outcome.Stopped stopped -> {
        out.printf(
            "%nstopped after step %d; checkpoint written. The same command with resume=true goes on.%n",
            stopped.step());
        out.flush();
        yield ExitCode.INTERRUPTED;
      }
      case Outcome.Failed failed -> throw new RunFailedException(failed);
    };
  }

  /** The JVM is going down: give the session time to write its checkpoint. */
  private void onInterrupt(TrainingSession session, CountDownLatch ended) {
    if (ended.getCount() == 0) {
      return;
    }
    PrintWriter err = spec.commandLine().getErr();
    err.printf("%ninterrupted: finishing the step and writing a checkpoint%n");
    err.flush();
    session.stop();
    try {
      if (!ended.await(STOP_TIMEOUT.toMillis(), TimeUnit.MILLISECONDS)) {
        err.printf("no checkpoint within %s; the last one is intact%n", STOP_TIMEOUT);
        err.flush();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private static void removeHook(Thread interrupt) {
    try {
      Runtime.getRuntime().removeShutdownHook(interrupt);
    } catch (IllegalStateException e) {
      // Going down already: the hook is what this thread was waited for by.
    }
  }
}
