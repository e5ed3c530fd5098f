package troupe.coordinator.lab;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import troupe.core.config.ResolvedConfig;
import troupe.core.config.RunConfig;

/**
 * One training of an ablation: an arm with a seed.
 *
 * @param config what is trained, in a folder of its own
 */
record Trial(Arm arm, long seed, RunConfig config) {
  /**
   * All trials: every arm with the first seed, then with the next. So what is there early is a
   * whole comparison, and a machine that gets slower favours no arm.
   *
   * @param folder of the experiment
   */
  static List<Trial> all(RunConfig base, Path folder) {
    int cores = Runtime.getRuntime().availableProcessors();
    int given = base.cluster().threads();
    int threads = given > 0 ? given : Math.max(1, cores / base.lab().parallel());
    List<Arm> arms = Arm.parse("lab.arms", base.lab().arms());
    List<Trial> trials = new ArrayList<>();
    for (int i = 0; i < base.lab().seeds(); i++) {
      long seed = base.seed() + i;
      for (Arm arm : arms) {
        String run = folder.resolve("runs").resolve(fileName(arm.name(), seed)).toString();
        List<String> set =
            List.of(
                "seed=" + seed,
                "run.dir=" + run,
                "run.resume=false",
                "cluster.threads=" + threads,
                "lab.kind=estimators",
                "lab.arms=[]");
        trials.add(new Trial(arm, seed, arm.config(base, set)));
      }
    }
    return trials;
  }

  private static String fileName(String arm, long seed) {
    return arm.replaceAll("[^A-Za-z0-9.=+-]+", "-") + "-seed-" + seed;
  }

  Path folder() {
    return Path.of(config.run().dir());
  }

  /**
   * What tells whether a result is that of this trial: of everything that decides the parameters,
   * and of how validation looks at them.
   */
  String hash() {
    return ResolvedConfig.hash(config).substring(0, 24)
        + "-"
        + config.evaluate().every()
        + "x"
        + config.evaluate().batches();
  }

  /** The arm's name with the seed. */
  String title() {
    return arm.name() + ", seed " + seed;
  }
}
