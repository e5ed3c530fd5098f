package troupe.coordinator.run;

import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import troupe.coordinator.RunTask;
import troupe.coordinator.events.Outcome;
import troupe.coordinator.host.EpochPlan;
import troupe.coordinator.host.Model;
import troupe.coordinator.host.ShardCatalog;
import troupe.coordinator.metrics.StepMetrics;
import troupe.core.UserException;
import troupe.core.checkpoint.Checkpoints;
import troupe.core.config.RunConfig;
import troupe.core.data.ByteTokenizer;
import troupe.core.data.Corpus;
import troupe.core.data.TokenCounts;
import troupe.core.data.Tokenizer;
import troupe.core.tensor.DeviceGroup;
import troupe.router.Sampling;
import troupe.router.gate.CounterDraws;

/** A training run from its folder to its report. The caller holds the run's lock. */
public final class TrainingSession {
  /** Told what a user should see, on threads of the session; must not block. */
  public interface Observer {
    /** The text is read. */
    void opened(Corpus corpus);

    /** All is ready; training is about to begin, or to go on, after the step of the plan. */
    void placed(EpochPlan plan, String coordinator);

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
    Tokenizer tokenizer = tokenizer(config);
    try (Corpus corpus = Corpus.open(config.data(), tokenizer, config.model().seq());
        DeviceGroup devices = ModelDevice.open(config);
        Model model = new Model(devices, config, TokenCounts.of(corpus.training()))) {
      observer.opened(corpus);
      Optional<Checkpoints.Newest> newest = folder.newestCheckpoint();
      newest.ifPresent(
          found -> {
            found.skipped().forEach(observer::notice);
            RunFolder.load(found.checkpoint(), model);
          });
      return train(corpus, model, tokenizer);
    }
  }

  /**
   * The tokenizer of a run.
   *
   * @throws UserException if the model's vocabulary is too small for it
   */
  public static Tokenizer tokenizer(RunConfig config) {
    Tokenizer tokenizer = new ByteTokenizer();
    if (tokenizer.vocabulary() > config.model().vocab()) {
      throw new UserException(
          "model.vocab: "
              + config.model().vocab()
              + " (expected: >= "
              + tokenizer.vocabulary()
              + ", the tokenizer's)",
          "set model.vocab=" + tokenizer.vocabulary());
    }
    return tokenizer;
  }

  private Outcome train(Corpus corpus, Model model, Tokenizer tokenizer) {
    long runId = new SecureRandom().nextLong();
    CompletableFuture<Outcome> outcome = new CompletableFuture<>();
    try (RunDesk desk =
        new RunDesk(
            config,
            folder,
            runId,
            new ShardCatalog(config, model.devices().first().dtype()),
            tokenizer,
            observer,
            ended -> running.thenAccept(run -> run.checkpointEnded(ended)),
            outcome::complete)) {
      LocalRun.Parts parts =
          new LocalRun.Parts(
              model,
              runId,
              new CorpusBatches(config, corpus),
              (step, layer, first) -> new CounterDraws(config.seed(), step, layer, first),
              tasks(config, tokenizer),
              folder.checkpoints(),
              desk,
              desk,
              desk);
      try (LocalRun run = LocalRun.start(parts)) {
        running.complete(run);
        return outcome.join();
      }
    }
  }

  /** What a training run has to do: train, then show what was learned. */
  public static List<RunTask> tasks(RunConfig config, Tokenizer tokenizer) {
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
}
