package troupe.coordinator.run;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import troupe.coordinator.RunListener;
import troupe.coordinator.RunTask;
import troupe.coordinator.events.Outcome;
import troupe.coordinator.host.Model;
import troupe.core.UserException;
import troupe.core.checkpoint.Checkpoint;
import troupe.core.checkpoint.Checkpoints;
import troupe.core.checkpoint.Manifest;
import troupe.core.config.RunConfig;
import troupe.core.data.Batch;
import troupe.core.data.ByteTokenizer;
import troupe.core.data.Corpus;
import troupe.core.data.Tokenizer;
import troupe.core.tensor.DeviceGroup;
import troupe.router.BatchSource;
import troupe.router.Sampling;

/**
 * A model read back from a checkpoint of its run, working through the same actors that trained it.
 */
public final class TrainedRun implements AutoCloseable {
  private static final long RUN_ID = 1;

  private final RunConfig config;
  private final List<String> skipped;
  private final Checkpoint checkpoint;
  private final DeviceGroup devices;
  private final Model model;
  private final Tokenizer tokenizer = new ByteTokenizer();

  private TrainedRun(RunConfig config, Checkpoint checkpoint, List<String> skipped) {
    this.config = config;
    this.checkpoint = checkpoint;
    this.skipped = skipped;
    this.devices = ModelDevice.open(config);
    this.model = new Model(devices, config);
    RunFolder.load(checkpoint, model);
  }

  /**
   * Opens the newest whole checkpoint of a run, or the checkpoint that {@code path} is.
   *
   * @throws UserException if it is neither, or nothing whole is there
   */
  public static TrainedRun open(Path path) {
    if (Files.exists(path.resolve(Manifest.FILE_NAME))) {
      Path run = path.toAbsolutePath().normalize().getParent().getParent();
      return new TrainedRun(RunFolder.existing(run).config(), checkpoint(path), List.of());
    }
    RunFolder folder = RunFolder.existing(path);
    Checkpoints.Newest newest =
        folder
            .newestCheckpoint()
            .orElseThrow(
                () ->
                    new UserException(
                        path + " has no checkpoint yet (expected: at least one)",
                        "train it to its first checkpoint, or stop it with Ctrl-C, which writes one"));
    return new TrainedRun(folder.config(), newest.checkpoint(), newest.skipped());
  }

  private static Checkpoint checkpoint(Path path) {
    try {
      return Checkpoint.open(path);
    } catch (IOException e) {
      throw new UserException(
          e.getMessage(), "name the run instead: the newest whole checkpoint is used then", e);
    }
  }

  /** The step of the checkpoint. */
  public long step() {
    return checkpoint.manifest().step();
  }

  /** The config of the run. */
  public RunConfig config() {
    return config;
  }

  /** A line for each newer checkpoint that was passed over. */
  public List<String> skipped() {
    return skipped;
  }

  /** SHA-256 of all parameters in canonical order. */
  public String hash() {
    return Shards.hash(model);
  }

  /**
   * Continues prompts.
   *
   * @param count tokens to generate for each at most; a line end ends it sooner
   * @param text told each text, prompt included
   * @throws UserException for an empty prompt
   */
  public void generate(List<String> prompts, int count, Sampling sampling, Consumer<String> text) {
    List<RunTask> tasks =
        prompts.stream().<RunTask>map(prompt -> generation(prompt, count, sampling)).toList();
    run(tasks, new NoBatches(), tokens -> text.accept(tokenizer.decode(tokens)), (loss, n) -> {});
  }

  private RunTask.Generate generation(String prompt, int count, Sampling sampling) {
    if (prompt.isEmpty()) {
      throw new UserException(
          "prompt: empty (expected: at least one character)", "--prompt \"owl (noun):\"");
    }
    return new RunTask.Generate(
        tokenizer.encode(prompt), count, tokenizer.encode("\n")[0], sampling);
  }

  /**
   * Computes the loss on the validation text.
   *
   * @param result told the mean cross entropy in nats a token, and the number of tokens
   */
  public void evaluate(int batches, BiConsumer<Double, Long> result) {
    try (Corpus corpus = Corpus.open(config.data(), tokenizer, config.model().seq())) {
      run(
          List.of(new RunTask.Evaluate(batches)),
          new CorpusBatches(config, corpus),
          tokens -> {},
          result);
    }
  }

  private void run(
      List<RunTask> tasks,
      BatchSource batches,
      Consumer<int[]> generated,
      BiConsumer<Double, Long> evaluated) {
    CompletableFuture<Outcome> outcome = new CompletableFuture<>();
    RunListener listener =
        new RunListener() {
          @Override
          public void generated(int[] tokens) {
            generated.accept(tokens);
          }

          @Override
          public void evaluated(long step, double loss, long tokens) {
            evaluated.accept(loss, tokens);
          }

          @Override
          public void finished(Outcome end) {
            outcome.complete(end);
          }
        };
    LocalRun.Parts parts =
        LocalRun.Parts.withoutDisk(
            model, RUN_ID, batches, (step, layer, first) -> null, tasks, listener);
    try (LocalRun _ = LocalRun.start(parts)) {
      if (outcome.join() instanceof Outcome.Failed failed) {
        throw new RunFailedException(failed);
      }
    }
  }

  /** Nothing is trained or validated here. */
  private record NoBatches() implements BatchSource {
    @Override
    public Batch training(long step, int rank, int microBatch) {
      throw new IllegalStateException("no training in this run");
    }

    @Override
    public Batch validation(int index, int count) {
      throw new IllegalStateException("no validation in this run");
    }
  }

  @Override
  public void close() {
    model.close();
    devices.close();
  }
}
