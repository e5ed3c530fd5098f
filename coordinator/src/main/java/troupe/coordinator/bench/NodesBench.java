package troupe.coordinator.bench;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.function.LongSupplier;
import troupe.coordinator.launch.JavaCommand;
import troupe.coordinator.launch.LaunchChecks;
import troupe.coordinator.launch.LaunchPlan;
import troupe.coordinator.launch.MergedLog;
import troupe.coordinator.run.RunFailedException;
import troupe.core.UserException;

/**
 * What it costs to spread a training over processes of this machine: the same steps in one process,
 * on nodes, and on nodes that keep copies, one after the other, several times: every second time in
 * reverse.
 */
public final class NodesBench {
  private final NodesPlan plan;
  private final JavaCommand java;
  private final MergedLog log;
  private final LongSupplier nanoTime;
  private TimedRun running;
  private boolean stopping;

  /**
   * A benchmark to be run once.
   *
   * @param java whose main class has the verbs {@code train} and {@code node}
   * @param nanoTime the clock
   */
  public NodesBench(NodesPlan plan, JavaCommand java, MergedLog log, LongSupplier nanoTime) {
    this.plan = plan;
    this.java = java;
    this.log = log;
    this.nanoTime = nanoTime;
  }

  /**
   * Runs all.
   *
   * @throws UserException if the machine is too small, or the folder holds runs already
   * @throws RunFailedException if one of the runs fails
   * @throws CancellationException if it was interrupted
   */
  public NodesResult run() throws InterruptedException, IOException {
    try (BenchFolder folder = folder()) {
      LaunchChecks.check(plan.launch(Spread.COPIES, folder.path()));
      log.note(
          "bench      %d + %d steps, %d threads in one process, %d on each of %d nodes; runs in %s"
              .formatted(
                  plan.warmUp(),
                  plan.steps(),
                  plan.threads(),
                  plan.threads() / plan.nodes(),
                  plan.nodes(),
                  folder.path()));
      try {
        List<NodesResult.Pair> pairs = new ArrayList<>();
        for (int pair = 1; pair <= plan.pairs(); pair++) {
          pairs.add(pair(pair, folder));
        }
        return new NodesResult(pairs);
      } catch (RunFailedException e) {
        folder.keep();
        throw e;
      }
    }
  }

  /** Stops all processes; the second time kills them. */
  public void interrupt() {
    TimedRun run;
    synchronized (this) {
      stopping = true;
      run = running;
    }
    log.note("bench      stopping all processes; again to kill");
    if (run != null) {
      run.interrupt();
    }
  }

  private BenchFolder folder() throws IOException {
    return LaunchPlan.sets(plan.overrides(), "run.dir")
        ? BenchFolder.of(Path.of(plan.run().run().dir()))
        : BenchFolder.passing();
  }

  private NodesResult.Pair pair(int pair, BenchFolder folder)
      throws InterruptedException, IOException {
    Map<Spread, RunTiming> timings = new EnumMap<>(Spread.class);
    List<Spread> order = List.of(Spread.values());
    // A machine that gets steadily slower or faster favours none.
    for (Spread spread : pair % 2 == 1 ? order : order.reversed()) {
      Path runFolder = folder.run(pair, spread);
      RunTiming timing = begin(new TimedRun(plan, java, spread, runFolder, log, nanoTime)).run();
      folder.measured(runFolder);
      log.note(
          String.format(
              Locale.ROOT,
              "bench      pair %d of %d: %-6s %,9.0f tokens/s",
              pair,
              plan.pairs(),
              spread.word(),
              timing.tokensPerSecond()));
      timings.put(spread, timing);
    }
    return new NodesResult.Pair(timings);
  }

  private synchronized TimedRun begin(TimedRun run) {
    if (stopping) {
      throw new CancellationException();
    }
    running = run;
    return run;
  }
}
