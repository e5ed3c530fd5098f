package troupe.coordinator.lab;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CompletionService;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorCompletionService;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import troupe.coordinator.host.Model;
import troupe.core.UserException;

/** Runs the trials that have no result yet, so many at once. */
final class Trials {
  /**
   * What takes as long as a step of so many parameters, however many there are: on two cores a step
   * of the quickstart takes some 90 ms with 4.6 million of them, and two seconds with the 68 of 128
   * experts.
   */
  private static final double PARAMETERS_OF_THE_REST = 2e6;

  private final List<Trial> trials;
  private final ResultsFile results;
  private final TrialTrainer trainer;
  private final int parallel;
  private final Consumer<String> out;
  private final LongSupplier nanoTime;
  private final List<String> failures = new ArrayList<>();
  private double doneWork;

  /**
   * Trials to be run once.
   *
   * @param out told a line for each that ends
   */
  Trials(
      List<Trial> trials,
      ResultsFile results,
      TrialTrainer trainer,
      int parallel,
      Consumer<String> out,
      LongSupplier nanoTime) {
    this.trials = List.copyOf(trials);
    this.results = results;
    this.trainer = trainer;
    this.parallel = parallel;
    this.out = out;
    this.nanoTime = nanoTime;
  }

  /**
   * Runs them; results are in the file as soon as each ends.
   *
   * @return what to say of those that failed
   * @throws UserException if one asks for what is not to be had; the others are not begun
   */
  List<String> run() throws InterruptedException {
    List<Trial> todo = new ArrayList<>();
    List<String> hashes = new ArrayList<>();
    for (Trial trial : trials) {
      if (results.find(trial).isEmpty() && !hashes.contains(trial.hash())) {
        todo.add(trial);
        hashes.add(trial.hash());
      }
    }
    int done = (int) trials.stream().filter(trial -> results.find(trial).isPresent()).count();
    out.accept(
        "trainings  %d: %d are done, %d to do, %d at once"
            .formatted(trials.size(), done, todo.size(), parallel));
    ExecutorService threads =
        Executors.newFixedThreadPool(
            parallel, Thread.ofPlatform().daemon().name("trial-", 0).factory());
    try {
      CompletionService<TrialResult> ended = new ExecutorCompletionService<>(threads);
      double work = todo.stream().mapToDouble(Trials::work).sum();
      todo.forEach(trial -> ended.submit(() -> train(trial)));
      long start = nanoTime.getAsLong();
      for (int n = 1; n <= todo.size(); n++) {
        take(ended, n, todo.size(), work, start);
      }
    } finally {
      threads.shutdownNow();
    }
    return List.copyOf(failures);
  }

  private void take(CompletionService<TrialResult> ended, int n, int count, double work, long start)
      throws InterruptedException {
    String line;
    try {
      TrialResult result = ended.take().get();
      results.add(result);
      line =
          format(
              "%s, seed %d: loss %.4f, validation %.4f, %.0f ms a step, %.0f s",
              result.arm(),
              result.seed(),
              result.finalLoss(),
              result.finalValidation(),
              result.stepMs(),
              result.seconds());
    } catch (ExecutionException e) {
      switch (e.getCause()) {
        case TrialFailedException failed -> failures.add(failed.getMessage());
        case UserException mistake -> throw mistake;
        case InterruptedException interrupted -> throw interrupted;
        case null, default -> throw new IllegalStateException(e.getCause());
      }
      line = "failed: " + failures.getLast();
    }
    double seconds = (nanoTime.getAsLong() - start) / 1e9;
    out.accept(
        format(
            "training   %d of %d  ETA %s  %s",
            n, count, duration(seconds / done() * (work - done())), line));
  }

  private TrialResult train(Trial trial) throws TrialFailedException, InterruptedException {
    try {
      return trainer.train(trial);
    } finally {
      synchronized (this) {
        doneWork += work(trial);
      }
    }
  }

  private synchronized double done() {
    return doneWork;
  }

  /**
   * In some unit: optimizer and memory have all parameters to go through, however few a token uses.
   */
  private static double work(Trial trial) {
    return PARAMETERS_OF_THE_REST + Model.parameterCount(trial.config());
  }

  private static String duration(double seconds) {
    Duration duration = Duration.ofSeconds(Math.round(seconds));
    return duration.toHours() > 0
        ? "%dh%02dm".formatted(duration.toHours(), duration.toMinutesPart())
        : "%dm%02ds".formatted(duration.toMinutes(), duration.toSecondsPart());
  }

  private static String format(String pattern, Object... values) {
    return String.format(Locale.ROOT, pattern, values);
  }
}
