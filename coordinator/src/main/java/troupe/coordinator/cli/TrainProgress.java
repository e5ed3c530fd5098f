package troupe.coordinator.cli;

import java.io.PrintWriter;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;
import troupe.coordinator.host.EpochPlan;
import troupe.coordinator.host.Model;
import troupe.coordinator.metrics.StepMetrics;
import troupe.coordinator.placement.NodeInfo;
import troupe.coordinator.placement.Placement;
import troupe.coordinator.run.TrainingSession;
import troupe.core.config.Keys;
import troupe.core.config.RunConfig;
import troupe.core.data.Corpus;

/** What a person watching a run sees: what it is made of, then a line every few steps. */
final class TrainProgress implements TrainingSession.Observer {
  private final RunConfig config;
  private final PrintWriter out;
  private Corpus corpus;
  private long startNs;
  private long firstStep;
  private double lossSum;
  private double ceSum;
  private double droppedSum;
  private double imbalanceSum;
  private long stepsInLine;
  private double millisInLine;

  TrainProgress(RunConfig config, PrintWriter out) {
    this.config = config;
    this.out = out;
  }

  @Override
  public void opened(Corpus text) {
    corpus = text;
  }

  @Override
  public void placed(EpochPlan plan, String coordinator) {
    RunConfig.Model m = config.model();
    print(
        "run        %s%s",
        config.run().dir(), plan.step() > 0 ? ", after step " + plan.step() : "");
    print(
        "model      %d layers, d_model %d, %d experts of d_ff %d; %s parameters, %s active a token",
        m.layers(),
        m.dModel(),
        config.experts().count(),
        m.dFf(),
        millions(Model.parameterCount(config)),
        millions(Model.activeParameterCount(config)));
    print(
        "gate       %s, omega %s; %s",
        Keys.name(config.gate().type()),
        config.gate().omega() ? "on" : "off",
        config.experts().capacityFactor() == 0
            ? "dropless"
            : "capacity factor " + config.experts().capacityFactor());
    print(
        "data       %s: %,d tokens to train on, %,d to validate",
        Keys.name(config.data().source()), corpus.training().size(), corpus.validation().size());
    print(
        "placement  device %s, %d ranks x %d micro-batches, %d expert actors, transport %s",
        config.device(),
        config.train().ranks(),
        config.train().microBatches(),
        plan.placement().experts().size(),
        Keys.name(config.transport().mode()));
    if (plan.nodes().size() > 1) {
      plan.nodes().stream()
          .sorted(Comparator.comparing(NodeInfo::name))
          .forEach(node -> print("           %s", describe(node, plan.placement(), coordinator)));
    }
    print("");
    startNs = System.nanoTime();
    firstStep = plan.step();
  }

  private static String describe(NodeInfo node, Placement placement, String coordinator) {
    List<Integer> ranks =
        IntStream.range(0, placement.ranks().size())
            .filter(rank -> placement.nodeOfRank(rank) == node.node())
            .boxed()
            .toList();
    long experts =
        placement.experts().values().stream().filter(home -> home.node() == node.node()).count();
    return "%s at %s: ranks %s, %d experts%s"
        .formatted(
            node.name(),
            node.address(),
            ranks.isEmpty() ? "none" : ranks,
            experts,
            node.name().equals(coordinator) ? ", coordinator" : "");
  }

  @Override
  public void committed(StepMetrics metrics) {
    lossSum += metrics.loss();
    ceSum += metrics.ce();
    millisInLine += metrics.stepTimeMs();
    droppedSum += metrics.dropped();
    imbalanceSum += metrics.imbalance();
    stepsInLine++;
    if (metrics.step() % config.train().logEvery() == 0
        || metrics.step() == config.train().steps()
        || metrics.step() == firstStep + 1) {
      printLine(metrics.step());
    }
  }

  private void printLine(long step) {
    long now = System.nanoTime();
    long tokens = (long) config.train().batch() * config.model().seq() * stepsInLine;
    double tokensPerSecond = tokens / (millisInLine / 1e3);
    double secondsPerStep = (now - startNs) / 1e9 / (step - firstStep);
    print(
        "step %5d/%d  loss %.3f  ce %.3f  %,7.0f tokens/s  ETA %s  dropped %.1f %%  imbalance %.2f",
        step,
        config.train().steps(),
        lossSum / stepsInLine,
        ceSum / stepsInLine,
        tokensPerSecond,
        duration((config.train().steps() - step) * secondsPerStep),
        100 * droppedSum / stepsInLine,
        imbalanceSum / stepsInLine);
    lossSum = 0;
    ceSum = 0;
    droppedSum = 0;
    imbalanceSum = 0;
    stepsInLine = 0;
    millisInLine = 0;
  }

  @Override
  public void validated(long step, double loss) {
    print(
        "step %5d  validation loss %.4f nats/byte, %.3f bits/byte", step, loss, loss / Math.log(2));
  }

  @Override
  public void generated(String text) {
    print("  %s", text.strip());
  }

  @Override
  public void notice(String line) {
    print("! %s", line);
  }

  private synchronized void print(String format, Object... arguments) {
    out.printf(Locale.ROOT, format + "%n", arguments);
    out.flush();
  }

  private static String millions(long count) {
    return String.format(Locale.ROOT, "%.2f M", count / 1e6);
  }

  private static String duration(double seconds) {
    Duration duration = Duration.ofSeconds(Math.round(seconds));
    return duration.toHours() > 0
        ? "%dh%02dm".formatted(duration.toHours(), duration.toMinutesPart())
        : "%dm%02ds".formatted(duration.toMinutes(), duration.toSecondsPart());
  }
}
