package troupe.coordinator.chaos;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import troupe.coordinator.launch.JavaCommand;
import troupe.coordinator.launch.LaunchChecks;
import troupe.coordinator.launch.LaunchPlan;
import troupe.coordinator.launch.MergedLog;
import troupe.core.UserException;
import troupe.core.checkpoint.RunLock;
import troupe.core.config.RunConfig;

/** {@code troupe chaos}: a local cluster under a seeded plan of faults, and the verdict. */
public final class Chaos {
  /** More than any disturbed run makes; the schedule of the learning rate is as long. */
  private static final int ENDLESS_STEPS = 1_000_000;

  private static final int EXPERT_THROWS = 150;

  private final ChaosSettings settings;
  private final ChaosRun run;
  private final LaunchPlan plan;

  /**
   * Prepares it.
   *
   * @param java whose main class has the verbs {@code node}, {@code train} and {@code move}
   * @param overrides of the config, each {@code KEY=VALUE}. Unless they say otherwise data travels
   *     by UDP, so that packets can be lost; experts throw; and, unless {@code reference} is given,
   *     there are more steps than time
   * @param reference the hash after the last step of the undisturbed run; if it is there the
   *     disturbed run goes on to that step, else it is stopped after {@code length} and the
   *     undisturbed one is trained as far
   * @throws UserException if something of it is wrong
   */
  public Chaos(
      JavaCommand java,
      Path config,
      List<String> overrides,
      int nodes,
      long seed,
      Duration length,
      Optional<String> reference,
      MergedLog log) {
    if (nodes < 3) {
      throw new UserException(
          "--nodes: " + nodes + " (expected: >= 3, for two do not outlive the loss of one)",
          "--nodes 5");
    }
    LaunchPlan asked = LaunchPlan.of(config, overrides, nodes);
    this.settings = new ChaosSettings(seed, length, reference.isPresent());
    this.plan =
        LaunchPlan.of(
            config, disturbed(asked.run(), overrides, seed, reference.isPresent()), nodes);
    this.run =
        new ChaosRun(
            java,
            plan,
            settings,
            ChaosRun.Limits.USUAL,
            new TrainedHashes(java, plan, reference, log),
            log);
  }

  /**
   * Runs to the verdict, which is also written to the run's folder.
   *
   * @throws UserException if the run's folder is in use, or the machine too small
   * @throws java.util.concurrent.CancellationException if it was interrupted
   */
  public ChaosVerdict run() throws InterruptedException, IOException {
    boolean lossy = plan.run().transport().mode() == RunConfig.Mode.UDP;
    LaunchChecks.check(plan);
    try (RunLock _ = plan.lock()) {
      return run.run(new ChaosPlan(settings.seed(), plan.nodes(), lossy, ChaosPlan.Pace.USUAL));
    }
  }

  /** Stops all nodes; the second time kills them. */
  public void interrupt() {
    run.interrupt();
  }

  private static List<String> disturbed(
      RunConfig run, List<String> overrides, long seed, boolean toLastStep) {
    List<String> all = new ArrayList<>(overrides);
    if (!LaunchPlan.sets(overrides, "transport.mode")) {
      all.add("transport.mode=udp");
    }
    if (!toLastStep && !LaunchPlan.sets(overrides, "train.steps")) {
      all.add("train.steps=" + ENDLESS_STEPS);
    }
    if (!LaunchPlan.sets(overrides, "faults.expert_throws")) {
      all.add(
          "faults.expert_throws=[\""
              + String.join(
                  "\",\"",
                  ChaosPlan.expertThrows(
                      seed, Saboteur.expertLayers(run), run.experts().count(), EXPERT_THROWS))
              + "\"]");
    }
    return all;
  }
}
