package troupe.coordinator.lab;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import troupe.coordinator.launch.JavaCommand;
import troupe.coordinator.metrics.MetricsLog;
import troupe.core.UserException;
import troupe.core.config.Keys;
import troupe.core.config.ResolvedConfig;
import troupe.core.config.RunConfig;

/** An experiment from its config to its files. */
public final class Lab {
  private Lab() {}

  /**
   * Runs what {@code lab.kind} names and leaves page, numbers, tables and drawings in the folder of
   * the run; what was there of an earlier time is replaced, but for the trainings of an ablation,
   * which are kept.
   *
   * @param java whose main class has the verb {@code train}
   * @param out told what a user should see
   * @return what to say of trainings that failed
   * @throws UserException if the config asks for something that is not to be had
   */
  public static List<String> run(RunConfig config, JavaCommand java, Consumer<String> out)
      throws InterruptedException {
    Path folder = Path.of(config.run().dir());
    if (Files.exists(folder.resolve(MetricsLog.FILE_NAME))) {
      throw new UserException(
          "run.dir: " + folder + " already holds a run (expected: a folder for an experiment)",
          "run.dir=runs/ANOTHER");
    }
    out.accept("lab        " + kind(config) + " in " + folder);
    List<String> failures = new ArrayList<>();
    Findings findings =
        switch (config.lab().kind()) {
          case ESTIMATORS ->
              EstimatorFindings.of(
                  config, new EstimatorLab(config, out).run(), ResolvedConfig.values(config));
          case TOY ->
              ToyFindings.of(config, ToyLab.run(config, out), ResolvedConfig.values(config));
          case ABLATION -> ablation(config, folder, java, out, failures);
        };
    FindingsFiles.write(findings, folder);
    for (Findings.Section section : findings.sections()) {
      if (section.table() != null) {
        out.accept("\n" + section.heading() + "\n" + section.table().text());
      }
    }
    out.accept("report     " + folder.resolve(FindingsFiles.PAGE));
    out.accept("tables     " + folder.resolve(FindingsFiles.MARKDOWN) + ", drawings beside it");
    return failures;
  }

  private static Findings ablation(
      RunConfig config, Path folder, JavaCommand java, Consumer<String> out, List<String> failures)
      throws InterruptedException {
    try (TrialProcess trainer = new TrialProcess(java)) {
      Thread hook = new Thread(() -> end(trainer, out), "interrupt");
      Runtime.getRuntime().addShutdownHook(hook);
      try {
        AblationLab.Result result =
            AblationLab.run(config, folder, trainer, ResolvedConfig.values(config), out);
        failures.addAll(result.failures());
        return result.findings();
      } finally {
        forget(hook);
      }
    }
  }

  private static void forget(Thread hook) {
    try {
      Runtime.getRuntime().removeShutdownHook(hook);
    } catch (IllegalStateException e) {
      // Going down already: the hook is what ended the trainings.
    }
  }

  private static void end(TrialProcess trainer, Consumer<String> out) {
    trainer.close();
    out.accept(
        "interrupted: trainings that ended are kept; the same command goes on with the others");
  }

  private static String kind(RunConfig config) {
    return Keys.name(config.lab().kind());
  }
}
