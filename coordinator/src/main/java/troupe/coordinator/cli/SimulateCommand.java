package troupe.coordinator.cli;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import troupe.coordinator.simulate.Simulate;
import troupe.core.config.ConfigLoader;
import troupe.core.config.RunConfig;

/** {@code troupe simulate}: what capacity, router and machines would do, without training. */
@Command(
    name = "simulate",
    description = {
      "Answers what-if questions about experts without a GPU or a training run: how many tokens are",
      "dropped at which capacity factor, how uneven the load is, what a device holds, what travels,",
      "and how long a step takes, for each router of simulate.routers.",
      "",
      "Tokens are drawn (simulate.zipf, drift, correlation) or come from a run that was trained with",
      "gate.trace=true (simulate.trace=RUN); the gates are those that train. The machines are",
      "simulate.cluster; simulate.cluster.measure=true takes the speeds of this one.",
      "",
      "Prints a table and writes simulate.json and simulate.html to run.dir. The same config gives",
      "the same numbers whatever the threads. docs/simulator.md has the model and its limits."
    },
    footer = {
      "",
      "Examples:",
      "  troupe simulate configs/simulate.conf",
      "      64 experts, top-2, on 8 GPUs, six capacity factors",
      "  troupe simulate configs/simulate.conf simulate.zipf=0.8 'simulate.factors=[1, 2, 3, 4]'",
      "      a more skewed router, other capacities",
      "  troupe simulate configs/simulate.conf 'simulate.routers=[softmax-topk, sinkhorn]'",
      "      two routers on the same logits",
      "  troupe train configs/quickstart.conf gate.trace=true train.steps=200 run.dir=runs/traced",
      "  troupe simulate configs/quickstart.conf simulate.trace=runs/traced run.dir=runs/what-if",
      "      what would another capacity have done to that run?",
      "  TROUPE_HEAP=4g troupe simulate configs/simulate.conf experts.count=1024 \\",
      "      simulate.tokens=1000000 simulate.steps=1",
      "      larger scales take a larger heap"
    })
final class SimulateCommand implements Callable<Integer> {
  /** Answers that come sooner need no progress line. */
  private static final long QUIET_NS = 2_000_000_000L;

  @Spec private CommandSpec spec;

  @Parameters(
      index = "0",
      paramLabel = "CONFIG",
      description = "A config, such as configs/simulate.conf.")
  private Path config;

  @Parameters(
      index = "1..*",
      arity = "0..*",
      paramLabel = "KEY=VALUE",
      description = "What differs from it; configs/defaults.conf explains every key.")
  private List<String> overrides = List.of();

  @Override
  public Integer call() {
    RunConfig run = ConfigLoader.load(config, overrides);
    PrintWriter out = spec.commandLine().getOut();
    Progress progress = new Progress(spec.commandLine().getErr());
    String table = Simulate.run(run, progress);
    progress.end();
    out.print(table);
    Path folder = Path.of(run.run().dir());
    out.printf(
        "%njson       %s%npage       %s%n",
        folder.resolve(Simulate.JSON_NAME), folder.resolve(Simulate.PAGE_NAME));
    out.flush();
    return ExitCode.DONE;
  }

  /** One line on standard error, rewritten where that is a terminal. */
  private static final class Progress implements Simulate.Listener {
    private static final long EVERY_NS = 1_000_000_000L;

    private final PrintWriter err;
    private final boolean terminal = System.console() != null && System.console().isTerminal();
    private long began;
    private long next;
    private boolean shown;

    Progress(PrintWriter err) {
      this.err = err;
    }

    @Override
    public synchronized void notice(String line) {
      end();
      err.println(line);
      err.flush();
    }

    @Override
    public synchronized void progress(double share) {
      long now = System.nanoTime();
      if (next == 0) {
        began = now;
        next = now + QUIET_NS;
      }
      if (now < next) {
        return;
      }
      double seconds = (now - began) / 1e9;
      err.printf(
          Locale.ROOT,
          terminal
              ? "\rrouted %.0f %% in %.0f s, %.0f s to go   "
              : "routed %.0f %% in %.0f s, %.0f s to go%n",
          100 * share,
          seconds,
          seconds / share - seconds);
      err.flush();
      shown = terminal;
      // A log needs fewer lines than a terminal.
      next = now + (terminal ? EVERY_NS : Math.max(5 * EVERY_NS, now - began));
    }

    synchronized void end() {
      if (shown) {
        err.printf("\r%60s\r", "");
        err.flush();
        shown = false;
      }
    }
  }
}
