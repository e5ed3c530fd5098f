package troupe.coordinator.bench;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.function.LongSupplier;
import java.util.stream.Stream;
import troupe.coordinator.events.Outcome;
import troupe.coordinator.launch.ChildNode;
import troupe.coordinator.launch.ClusterListener;
import troupe.coordinator.launch.Exit;
import troupe.coordinator.launch.JavaCommand;
import troupe.coordinator.launch.LocalCluster;
import troupe.coordinator.launch.MergedLog;
import troupe.coordinator.metrics.MetricsFile;
import troupe.coordinator.metrics.MetricsLog;
import troupe.coordinator.metrics.StepMetrics;
import troupe.coordinator.node.TransportShare;
import troupe.coordinator.run.RunFailedException;
import troupe.coordinator.run.TrainedRun;

/** One run from the start of its processes to its hash. A process that dies ends all. */
final class TimedRun {
  private final NodesPlan plan;
  private final Spread spread;
  private final Path folder;
  private final MergedLog log;
  private final LapClock clock;
  private final LocalCluster cluster;
  private final List<TransportShare> shares = new ArrayList<>();
  private final LastWords lastWords = new LastWords();
  private Optional<Outcome.Failed> failure = Optional.empty();
  private boolean begun;
  private boolean stopping;

  /** A run that is yet to begin, in a folder of its own. */
  TimedRun(
      NodesPlan plan,
      JavaCommand java,
      Spread spread,
      Path folder,
      MergedLog log,
      LongSupplier nanoTime) {
    this.plan = plan;
    this.spread = spread;
    this.folder = folder;
    this.log = log;
    this.clock = new LapClock(plan.warmUp(), plan.lastStep(), nanoTime);
    this.cluster =
        spread == Spread.ONE
            ? LocalCluster.alone(
                java, plan.config(), plan.overrides(spread, folder), new Listener())
            : new LocalCluster(java, plan.launch(spread, folder), new Listener());
  }

  /**
   * Trains and measures.
   *
   * @throws RunFailedException if a process fails
   * @throws CancellationException if it was interrupted
   */
  RunTiming run() throws InterruptedException, IOException {
    try (cluster) {
      cluster.start();
      cluster.awaitEnd();
    }
    synchronized (this) {
      if (stopping) {
        throw new CancellationException();
      }
      if (failure.isPresent()) {
        throw new RunFailedException(failure.get());
      }
      return timing();
    }
  }

  /** Asks all processes to stop; the second time kills them. */
  void interrupt() {
    boolean again;
    synchronized (this) {
      again = stopping;
      stopping = true;
    }
    if (again) {
      cluster.kill();
    } else {
      cluster.stop();
    }
  }

  private RunTiming timing() throws IOException {
    try (TrainedRun trained = TrainedRun.open(folder)) {
      return new RunTiming(
          plan.tokensPerStep(),
          stepMs(),
          clock
              .elapsedMs()
              .orElseThrow(
                  () -> broken("no progress of steps %d and %d", plan.warmUp(), plan.lastStep())),
          shares.stream().mapToDouble(TransportShare::percent).average().orElse(0),
          trained.hash());
    }
  }

  /** The last record of a step counts, should one have been done again. */
  private double[] stepMs() throws IOException {
    double[] stepMs = new double[plan.lastStep()];
    MetricsFile.read(
        folder.resolve(MetricsLog.FILE_NAME),
        metrics -> {
          if (metrics instanceof StepMetrics step) {
            stepMs[Math.toIntExact(step.step()) - 1] = step.stepTimeMs();
          }
        });
    double[] timed = Arrays.copyOfRange(stepMs, plan.warmUp(), stepMs.length);
    if (Arrays.stream(timed).anyMatch(ms -> !(ms > 0))) {
      throw broken("no times of all steps up to %d in its metrics", plan.lastStep());
    }
    return timed;
  }

  private String name(ChildNode node) {
    return spread == Spread.ONE ? "the process" : node.name();
  }

  private RunFailedException broken(String what, Object... arguments) {
    return new RunFailedException(
        new Outcome.Failed(
            plan.lastStep(),
            "%s: ".formatted(folder.getFileName()) + what.formatted(arguments),
            "see what is in " + folder));
  }

  private final class Listener implements ClusterListener {
    @Override
    public void line(ChildNode node, boolean isError, String line) {
      if (isError) {
        lastWords.heard(node.number(), line);
        return;
      }
      Optional<TransportShare> share = TransportShare.parse(line);
      boolean isProgress = clock.heard(line);
      boolean disturbs;
      synchronized (TimedRun.this) {
        share.ifPresent(shares::add);
        begun |= isProgress;
        disturbs = begun && share.isEmpty() && line.startsWith("! ");
      }
      if (isProgress || disturbs) {
        log.line(node.number(), false, line);
      }
    }

    @Override
    public void ended(ChildNode node, Exit exit) {
      synchronized (TimedRun.this) {
        if (exit.code() == Exit.DONE || stopping || failure.isPresent()) {
          return;
        }
        List<String> message =
            Stream.concat(
                    Stream.of("%s: %s %s".formatted(folder.getFileName(), name(node), exit)),
                    lastWords.errors(node.number()).stream())
                .toList();
        failure =
            Optional.of(
                new Outcome.Failed(
                    0,
                    String.join("\n", message),
                    lastWords.hint(node.number()).orElse("see what is in " + folder)));
      }
      cluster.kill();
    }
  }
}
