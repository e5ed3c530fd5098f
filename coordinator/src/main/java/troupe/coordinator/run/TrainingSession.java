package troupe.coordinator.run;

import troupe.coordinator.host.Model;
import com.typesafe.config.ConfigFactory;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import troupe.coordinator.events.Outcome;
import troupe.coordinator.RunListener;
import troupe.coordinator.RunTask;
import troupe.coordinator.StepReport;
import troupe.coordinator.host.ShardCatalog;
import troupe.coordinator.host.ShardMemory;
import troupe.coordinator.metrics.MetricsLog;
import troupe.coordinator.metrics.Report;
import troupe.coordinator.metrics.ReportFacts;
import troupe.coordinator.metrics.StepMetrics;
import troupe.coordinator.metrics.ValidationMetrics;
import troupe.core.UserException;
import troupe.core.checkpoint.CheckpointOutcome;
import troupe.core.checkpoint.CheckpointWriter;
import troupe.core.checkpoint.Checkpoints;
import troupe.core.config.ResolvedConfig;
import troupe.core.config.RunConfig;
import troupe.core.data.ByteTokenizer;
import troupe.core.data.Corpus;
import troupe.core.data.Tokenizer;
import troupe.core.tensor.Device;
import troupe.router.Sampling;
import troupe.router.gate.CounterDraws;

/** A training run from its folder to its report. The caller holds the run's lock. */
public final class TrainingSession {
  /** Told what a user should see, on threads of the session; must not block. */
  public interface Observer {
    /** All is ready; training is about to begin after {@code committedStep}. */
    void started(Model model, Corpus corpus, long committedStep);

    /** A step is committed. */
    void committed(StepMetrics metrics);

    /** A validation is done. */
    void validated(long step, double loss);

    /** A text was generated. */
    void generated(String text);

    /** Something worth a line. */
    void notice(String line);
  }

  private final RunConfig config;
  private final RunFolder folder;
  private final Observer observer;
  private final Tokenizer tokenizer = new ByteTokenizer();
  private final CompletableFuture<LocalRun> running = new CompletableFuture<>();

  /** A session for {@code config} in {@code folder}. */
  public TrainingSession(RunConfig config, RunFolder folder, Observer observer) {
    this.config = config;
    this.folder = folder;
    this.observer = observer;
  }

  /** Asks a running session to finish its step, write a checkpoint and end. */
  public void stop() {
    running.thenAccept(LocalRun::stop);
  }

  /**
   * Trains to the end, or until stopped.
   *
   * @throws UserException if text, checkpoint or machine are not as they have to be
   */
  public Outcome run() {
    if (tokenizer.vocabulary() > config.model().vocab()) {
      throw new UserException(
          "model.vocab: "
              + config.model().vocab()
              + " (expected: >= "
              + tokenizer.vocabulary()
              + ", the tokenizer's)",
          "set model.vocab=" + tokenizer.vocabulary());
    }
    try (Corpus corpus = Corpus.open(config.data(), tokenizer, config.model().seq());
        Device device = ModelDevice.open(config);
        Model model = new Model(device, config)) {
      Optional<Checkpoints.Newest> newest = folder.newestCheckpoint();
      newest.ifPresent(
          found -> {
            found.skipped().forEach(observer::notice);
            RunFolder.load(found.checkpoint(), model);
          });
      observer.started(model, corpus, model.committedStep());
      Outcome outcome = train(corpus, model);
      writeReport(model);
      return outcome;
    }
  }

  private Outcome train(Corpus corpus, Model model) {
    long runId = new SecureRandom().nextLong();
    try (MetricsLog metrics = openMetrics(model.committedStep());
        CheckpointWriter writer =
            CheckpointWriter.start(
                folder.checkpoints(), config.checkpoint().keep(), this::onCheckpoint)) {
      Listener listener = new Listener(metrics);
      CheckpointRequests checkpoints =
          new CheckpointRequests(
              writer, config, runId, new ShardCatalog(config, model.device().dtype()));
      LocalRun.Parts parts =
          new LocalRun.Parts(
              model,
              runId,
              new CorpusBatches(config, corpus),
              (step, layer, first) -> new CounterDraws(config.seed(), step, layer, first),
              tasks(),
              folder.checkpoints(),
              checkpoints,
              checkpoints,
              listener);
      try (LocalRun run = LocalRun.start(parts)) {
        running.complete(run);
        return listener.outcome.join();
      }
    }
  }

  private void onCheckpoint(CheckpointOutcome outcome) {
    running.thenAccept(run -> run.checkpointEnded(CheckpointRequests.ended(outcome)));
  }

  private MetricsLog openMetrics(long committedStep) {
    try {
      return config.run().resume()
          ? MetricsLog.resume(folder.file(MetricsLog.FILE_NAME), committedStep)
          : MetricsLog.create(folder.file(MetricsLog.FILE_NAME));
    } catch (IOException e) {
      throw new UserException(
          folder.file(MetricsLog.FILE_NAME) + " cannot be written: " + e,
          "free space, or set run.dir to another disk",
          e);
    }
  }

  private List<RunTask> tasks() {
    List<RunTask> tasks = new ArrayList<>();
    tasks.add(new RunTask.Train(config.train().steps()));
    RunConfig.Generate generate = config.generate();
    long seed = config.seed();
    for (String prompt : generate.prompts()) {
      tasks.add(
          new RunTask.Generate(
              tokenizer.encode(prompt),
              generate.tokens(),
              tokenizer.encode("\n")[0],
              new Sampling(generate.temperature(), generate.topK(), seed++)));
    }
    return tasks;
  }

  private void writeReport(Model model) {
    try {
      Report.write(
          folder.file(MetricsLog.FILE_NAME),
          ReportFacts.of(
              folder.name(),
              model.parameterCount(),
              (long) config.train().batch() * config.model().seq(),
              "nats/byte",
              ConfigFactory.parseString(ResolvedConfig.render(config))),
          folder.file(Report.FILE_NAME));
    } catch (IOException | UncheckedIOException e) {
      observer.notice("report not written: " + e);
    }
  }

  /** Turns what the coordinator says into metrics and lines. */
  private final class Listener implements RunListener {
    private final MetricsLog metrics;
    private final CompletableFuture<Outcome> outcome = new CompletableFuture<>();

    Listener(MetricsLog metrics) {
      this.metrics = metrics;
    }

    @Override
    public void committed(StepReport report) {
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
    public void finished(Outcome end) {
      outcome.complete(end);
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
        report.learningRate(),
        report.gradNorm(),
        report.tokens() / stepTimeMs * 1e3,
        stepTimeMs,
        report.dropped(),
        report.alive(),
        imbalance(report),
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
