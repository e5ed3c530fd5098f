package troupe.coordinator.lab;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import troupe.core.config.RunConfig;

/** An ablation: its trainings, as far as they are not done, and what they say together. */
final class AblationLab {
  private AblationLab() {}

  /**
   * What was found.
   *
   * @param failures what to say of trainings that failed
   */
  record Result(Findings findings, List<String> failures) {}

  static Result run(
      RunConfig config,
      Path folder,
      TrialTrainer trainer,
      Map<String, String> values,
      Consumer<String> out)
      throws InterruptedException {
    List<Trial> trials = Trial.all(config, folder);
    try (ResultsFile results = ResultsFile.open(folder)) {
      List<String> failures =
          new Trials(trials, results, trainer, config.lab().parallel(), out, System::nanoTime)
              .run();
      Comparison comparison = Comparison.of(trials, results);
      return new Result(AblationFindings.of(config, comparison, trials.size(), values), failures);
    }
  }
}
