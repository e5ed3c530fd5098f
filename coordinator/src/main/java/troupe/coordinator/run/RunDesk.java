package troupe.coordinator.run;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.time.InstantSource;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import troupe.coordinator.CheckpointCollector;
import troupe.coordinator.Coordinator;
import troupe.coordinator.RunListener;
import troupe.coordinator.StepReport;
import troupe.coordinator.events.EventLog;
import troupe.coordinator.events.MoveSummary;
import troupe.coordinator.events.NodesFile;
import troupe.coordinator.events.Outcome;
import troupe.coordinator.events.RunEvent;
import troupe.coordinator.host.CheckpointSink;
import troupe.coordinator.host.EpochPlan;
import troupe.coordinator.host.Model;
import troupe.coordinator.host.ShardCatalog;
import troupe.coordinator.host.ShardCopy;
import troupe.coordinator.metrics.MetricsLog;
import troupe.coordinator.metrics.PlacementMetrics;
import troupe.coordinator.metrics.Report;
import troupe.coordinator.metrics.ReportFacts;
import troupe.coordinator.metrics.StepMetrics;
import troupe.coordinator.metrics.ValidationMetrics;
import troupe.coordinator.placement.NodeInfo;
import troupe.coordinator.placement.Place;
import troupe.core.UserException;
import troupe.core.checkpoint.CheckpointWriter;
import troupe.core.config.ResolvedConfig;
import troupe.core.config.RunConfig;
import troupe.core.data.Tokenizer;
import troupe.router.gate.Gates;

/**
 * The files of a run and what its user sees, kept where the coordinator is. A desk that takes over
 * from another process goes on with new files of the same names, so whatever the other one still
 * writes is not in them.
 */
public final class RunDesk
    implements RunListener, CheckpointCollector, CheckpointSink, AutoCloseable {
  private final RunConfig config;
  private final RunFolder folder;
  private final TrainingSession.Observer observer;
  private final Tokenizer tokenizer;
  private final Consumer<Outcome> end;
  private final CheckpointWriter writer;
  private final CheckpointRequests checkpoints;
  private final EventLog events;
  private final Map<String, NodesFile.Node> nodes = new HashMap<>();
  private MetricsLog metrics;
  private int epoch;
  private boolean silent;
  private final MoveSummary moves = new MoveSummary();
  private String coordinator = "";

  /**
   * Opens the files of a run.
   *
   * @param checkpointEnded told how checkpoints end, on another thread
   * @param end told how the run ends, once; what this desk was told before is in its files then
   */
  public RunDesk(
      RunConfig config,
      RunFolder folder,
      long runId,
      ShardCatalog catalog,
      Tokenizer tokenizer,
      TrainingSession.Observer observer,
      Consumer<Coordinator.CheckpointEnded> checkpointEnded,
      Consumer<Outcome> end) {
    this.config = config;
    this.folder = folder;
    this.tokenizer = tokenizer;
    this.observer = observer;
    this.end = end;
    this.writer =
        CheckpointWriter.start(
            folder.checkpoints(),
            config.checkpoint().keep(),
            outcome -> checkpointEnded.accept(CheckpointRequests.ended(outcome)));
    this.checkpoints = new CheckpointRequests(writer, config, runId, catalog);
    this.events =
        EventLog.takeOver(folder.file(EventLog.FILE_NAME), this::tell, InstantSource.system());
  }

  @Override
  public void epochBegan(EpochPlan plan, String coordinatorName) {
    boolean first = metrics == null;
    if (first) {
      metrics = openMetrics(plan.step());
      observer.placed(plan, coordinatorName);
      Gates.warnings(config).forEach(observer::notice);
    } else {
      metrics.rollBack(plan.step());
    }
    epoch = plan.epoch();
    coordinator = coordinatorName;
    Map<Place, String> names = new HashMap<>();
    for (NodeInfo node : plan.nodes()) {
      for (int device = 0; device < node.deviceBytes().size(); device++) {
        names.put(new Place(node.node(), device), node.deviceName(device));
      }
    }
    if (names.size() > 1 || !first) {
      metrics.append(PlacementMetrics.of(epoch, plan.step(), plan.placement(), names));
    }
    if (plan.nodes().stream().anyMatch(node -> !node.address().isEmpty())) {
      nodes.replaceAll((name, node) -> state(node, NodesFile.State.GONE));
      for (NodeInfo node : plan.nodes()) {
        nodes.put(
            node.name(),
            new NodesFile.Node(
                node.name(),
                node.node(),
                node.pid(),
                node.address(),
                NodesFile.State.UP,
                node.name().equals(coordinator)));
      }
      writeNodes();
    }
  }

  private MetricsLog openMetrics(long committedStep) {
    try {
      boolean goesOn = Files.exists(folder.file(MetricsLog.FILE_NAME));
      return goesOn
          ? MetricsLog.resume(folder.file(MetricsLog.FILE_NAME), committedStep)
          : MetricsLog.create(folder.file(MetricsLog.FILE_NAME));
    } catch (IOException e) {
      throw new UserException(
          folder.file(MetricsLog.FILE_NAME) + " cannot be written: " + e,
          "free space, or set run.dir to another disk",
          e);
    }
  }

  @Override
  public void happened(RunEvent event) {
    // How it began has been shown already.
    silent = event instanceof RunEvent.Began || moves.add(event);
    if (!silent) {
      tellMoves();
    }
    events.append(event);
    switch (event) {
      case RunEvent.Suspected suspected -> state(suspected.node(), NodesFile.State.SUSPECTED);
      case RunEvent.Reachable reachable -> state(reachable.node(), NodesFile.State.UP);
      case RunEvent.Removed removed -> state(removed.node(), NodesFile.State.GONE);
      default -> {}
    }
  }

  private void tellMoves() {
    String line = moves.take();
    if (!line.isEmpty()) {
      observer.notice(line);
    }
  }

  private void tell(String line) {
    if (!silent) {
      observer.notice(line);
    }
  }

  private void state(String name, NodesFile.State state) {
    if (nodes.containsKey(name)) {
      nodes.compute(name, (key, node) -> state(node, state));
      writeNodes();
    }
  }

  private static NodesFile.Node state(NodesFile.Node node, NodesFile.State state) {
    return new NodesFile.Node(
        node.name(),
        node.node(),
        node.pid(),
        node.address(),
        state,
        node.coordinator() && state != NodesFile.State.GONE);
  }

  private void writeNodes() {
    new NodesFile(
            epoch,
            nodes.values().stream()
                .sorted(java.util.Comparator.comparing(NodesFile.Node::name))
                .toList())
        .write(folder.file(NodesFile.FILE_NAME));
  }

  @Override
  public void committed(StepReport report) {
    tellMoves();
    StepMetrics step = stepMetrics(report);
    metrics.append(step);
    observer.committed(step);
  }

  @Override
  public void evaluated(long step, double loss, long tokens) {
    metrics.append(new ValidationMetrics(step, loss));
    observer.validated(step, loss);
  }

  @Override
  public void generated(int[] tokens) {
    observer.generated(tokenizer.decode(tokens));
  }

  @Override
  public void notice(String line) {
    observer.notice(line);
  }

  @Override
  public void finished(Outcome outcome) {
    close();
    writeReport();
    end.accept(outcome);
  }

  @Override
  public void handedOver() {
    close();
  }

  @Override
  public Begun begin(int ofEpoch, long step) {
    return checkpoints.begin(ofEpoch, step);
  }

  @Override
  public void abort(int ofEpoch, long step, String reason) {
    checkpoints.abort(ofEpoch, step, reason);
  }

  @Override
  public long progress() {
    return checkpoints.progress();
  }

  @Override
  public void offer(int ofEpoch, ShardCopy copy) {
    checkpoints.offer(ofEpoch, copy);
  }

  private void writeReport() {
    if (!Files.exists(folder.file(MetricsLog.FILE_NAME))) {
      return;
    }
    try {
      Report.write(
          folder.file(MetricsLog.FILE_NAME),
          new ReportFacts(
              folder.name(),
              Model.parameterCount(config),
              (long) config.train().batch() * config.model().seq(),
              "nats/byte",
              ResolvedConfig.values(config)),
          folder.file(Report.FILE_NAME));
    } catch (IOException | UncheckedIOException e) {
      observer.notice("report not written: " + e);
    }
  }

  /** Waits for what is being written; a second call does nothing. */
  @Override
  public void close() {
    writer.close();
    events.close();
    if (metrics != null) {
      metrics.close();
    }
  }

  private static StepMetrics stepMetrics(StepReport report) {
    double stepTimeMs = report.stepTimeNs() / 1e6;
    return new StepMetrics(
        report.step(),
        report.loss(),
        report.crossEntropy(),
        report.balance(),
        report.z(),
        report.penalty(),
        report.learningRate(),
        report.gradNorm(),
        report.tokens() / stepTimeMs * 1e3,
        stepTimeMs,
        report.dropped(),
        report.alive(),
        imbalance(report),
        List.copyOf(report.ledger().values()),
        report.load().values().toArray(long[][]::new));
  }

  private static double imbalance(StepReport report) {
    double worst = 1;
    for (long[] load_E : report.load().values()) {
      long max = 0;
      long sum = 0;
      for (long load : load_E) {
        max = Math.max(max, load);
        sum += load;
      }
      worst = Math.max(worst, (double) max * load_E.length / sum);
    }
    return worst;
  }
}
