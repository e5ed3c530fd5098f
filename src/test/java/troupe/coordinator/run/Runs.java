package troupe.coordinator.run;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import troupe.coordinator.RunListener;
import troupe.coordinator.RunTask;
import troupe.coordinator.StepReport;
import troupe.coordinator.events.Outcome;
import troupe.coordinator.events.RunEvent;
import troupe.coordinator.host.Model;
import troupe.core.config.ConfigLoader;
import troupe.core.config.RunConfig;
import troupe.core.data.Batch;
import troupe.core.random.Philox;
import troupe.router.BatchSource;
import troupe.router.gate.CounterDraws;
import troupe.router.pass.DrawsSource;

/** Runs real actors to their end, for tests. */
public final class Runs {
  private static final long TIMEOUT_SECONDS = 60;

  private Runs() {}

  /**
   * A model that trains in milliseconds, with everything that can be spread: layers, experts,
   * ranks, micro-batches.
   */
  static final List<String> TINY =
      List.of(
          "model.d_model=16",
          "model.heads=2",
          "model.layers=2",
          "model.d_ff=24",
          "model.seq=8",
          "model.vocab=32",
          "experts.count=4",
          "train.batch=8",
          "train.ranks=2",
          "train.micro_batches=2",
          "train.steps=6",
          "evaluate.every=0",
          "schedule.warmup_steps=2",
          "seed=7");

  /** {@link #TINY} with other values. */
  public static RunConfig tiny(String... overrides) {
    List<String> all = new ArrayList<>(TINY);
    all.addAll(List.of(overrides));
    return ConfigLoader.parse("", all);
  }

  /**
   * The same, wide enough for the trunk's gradient to travel in several segments: matrices of a
   * layer, the head and the embeddings have 64 KiB of float32 each.
   */
  static RunConfig wide(String... overrides) {
    List<String> all = new ArrayList<>(List.of("model.d_model=64", "model.vocab=256"));
    all.addAll(List.of(overrides));
    return tiny(all.toArray(String[]::new));
  }

  /** What a run told its listener. */
  static final class Heard implements RunListener {
    final List<StepReport> steps = new ArrayList<>();
    final List<Double> validations = new ArrayList<>();
    final List<int[]> generated = new ArrayList<>();
    final List<String> notices = new ArrayList<>();
    final List<RunEvent.ExpertMoved> moves = new ArrayList<>();
    final CompletableFuture<Outcome> outcome = new CompletableFuture<>();

    @Override
    public void committed(StepReport report) {
      steps.add(report);
    }

    @Override
    public void evaluated(long step, double loss, long tokens) {
      validations.add(loss);
    }

    @Override
    public void generated(int[] tokens) {
      generated.add(tokens);
    }

    @Override
    public void notice(String line) {
      notices.add(line);
    }

    @Override
    public void happened(RunEvent event) {
      if (event instanceof RunEvent.ExpertMoved moved) {
        moves.add(moved);
      }
      if (event instanceof RunEvent.Restarted restarted) {
        notices.add(restarted.who() + " restarted: " + restarted.cause());
      }
    }

    @Override
    public void finished(Outcome end) {
      outcome.complete(end);
    }
  }

  /** Draws as a run makes them. */
  public static DrawsSource draws(RunConfig config) {
    return (step, layer, first) -> new CounterDraws(config.seed(), step, layer, first);
  }

  /** Random tokens as a pure function of where they are. */
  public static BatchSource randomBatches(RunConfig config) {
    int perMicro = config.train().batch() / config.train().ranks() / config.train().microBatches();
    return new BatchSource() {
      @Override
      public Batch training(long step, int rank, int microBatch) {
        return batch(
            (int) step, (rank * config.train().microBatches() + microBatch) * perMicro, perMicro);
      }

      @Override
      public Batch validation(int index, int count) {
        return batch(-1 - index, 0, 2);
      }

      private Batch batch(int stream, int firstSequence, int sequences) {
        int seq = config.model().seq();
        int[] tokens = new int[sequences * seq];
        int[] targets = new int[tokens.length];
        for (int i = 0; i < sequences; i++) {
          for (int t = 0; t < seq; t++) {
            tokens[i * seq + t] = token(stream, firstSequence + i, t);
            targets[i * seq + t] = token(stream, firstSequence + i, t + 1);
          }
        }
        return new Batch(tokens, targets, sequences, seq);
      }

      private int token(int stream, int sequence, int place) {
        long word = Philox.word64(99, stream, sequence, place);
        return (int) Math.unsignedMultiplyHigh(word, config.model().vocab());
      }
    };
  }

  /** Trains {@code model} to the config's last step. */
  static Heard train(Model model) throws Exception {
    RunConfig config = model.config();
    return run(
        model,
        randomBatches(config),
        draws(config),
        List.of(new RunTask.Train(config.train().steps())));
  }

  static Heard run(Model model, BatchSource batches, DrawsSource draws, List<RunTask> tasks)
      throws Exception {
    Heard heard = new Heard();
    try (LocalRun _ =
        LocalRun.start(LocalRun.Parts.withoutDisk(model, 1, batches, draws, tasks, heard))) {
      heard.outcome.get(TIMEOUT_SECONDS, TimeUnit.SECONDS);
    }
    return heard;
  }
}
