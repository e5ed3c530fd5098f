package troupe.coordinator;

import java.time.Duration;
import java.util.Collections;
import java.util.SortedMap;
import java.util.TreeMap;
import troupe.coordinator.host.Host;
import troupe.core.config.RunConfig;
import troupe.core.optim.LearningRate;
import troupe.core.tensor.AdamWStep;
import troupe.expert.ExpertActor;
import troupe.router.RouterActor;

/**
 * The conversation of one step in one epoch.
 *
 * <pre>
 *   COLLECTING: Routed of all ranks   -> COLLECTING (Load of all layers to all routers)
 *   COLLECTING: GradientReady of all  -> DECIDED    (Apply to all)
 *   DECIDED:    Applied of all        -> the step is committed
 * </pre>
 *
 * Everything may be said twice. Reports of other steps are not for here: see {@link #isOf}.
 */
final class TrainingStep {
  private final RunConfig config;
  private final Group group;
  private final StepTally tally;
  private final long beganNs;
  private final SortedMap<Integer, double[]> unsent = new TreeMap<>();
  private AdamWStep decided;

  /** A step that nobody knows of yet. */
  TrainingStep(RunConfig config, Group group, long step, long nowNs) {
    this.config = config;
    this.group = group;
    this.tally = new StepTally(config, step);
    this.beganNs = nowNs;
  }

  /** Counted from 1. */
  long step() {
    return tally.step();
  }

  /** Whether every owner will be at this step in the end, whatever happens to it. */
  boolean isDecided() {
    return decided != null;
  }

  /** Whether a report is of this step. */
  boolean isOf(int epoch, long step) {
    return epoch == group.epoch() && step == step();
  }

  /** How many reports have come, repeated ones not counted. */
  int heard() {
    return tally.heard();
  }

  /** What it came to, or would if all applied it now. */
  StepReport report(long nowNs) {
    return tally.report(decided.learningRate(), nowNs - beganNs);
  }

  /** Tells all routers to begin. */
  void begin(Duration timeout) {
    group.tellRouters(new RouterActor.Step(group.epoch(), step(), timeout));
  }

  /** A message may be lost with a connection: says everything again that is still awaited. */
  void askAgain(Duration timeout) {
    if (isDecided()) {
      apply();
      return;
    }
    // Hosts with experts only, too: what they have reported may have got lost.
    group.tellAll(
        new Host.ToRouters(group.epoch(), new RouterActor.Step(group.epoch(), step(), timeout)));
    unsent.clear();
    tally.loads().forEach(this::tellLoad);
    flushLoads();
  }

  /** Who has not reported yet, and where they live. */
  String missing() {
    return tally.missing(isDecided(), group);
  }

  /** The owner whose gradient is not finite, or {@code null}. */
  String divergedOwner() {
    return tally.divergedOwner();
  }

  void onRouted(RouterActor.Routed routed) {
    double[] load_E = tally.routed(routed);
    if (load_E != null) {
      tellLoad(routed.layer(), load_E);
      if (tally.isRouted()) {
        flushLoads();
      }
    }
  }

  /** Backward begins with the last layer: until its load is known nobody needs the others. */
  private void tellLoad(int layer, double[] load_E) {
    unsent.put(layer, load_E);
    if (unsent.size() * load_E.length >= Host.NUMBERS_A_MESSAGE) {
      flushLoads();
    }
  }

  private void flushLoads() {
    if (!unsent.isEmpty()) {
      group.tellRouters(
          new RouterActor.Load(
              group.epoch(), step(), Collections.unmodifiableSortedMap(new TreeMap<>(unsent))));
      unsent.clear();
    }
  }

  void onReady(RouterActor.GradientReady ready) {
    tally.ready(ready);
  }

  /** An expert that reports after the decision was restarted in the middle of applying it. */
  void onReady(ExpertActor.GradientReady ready) {
    tally.ready(ready);
    if (isDecided()) {
      applyAgain(ready.layer(), ready.expert());
    }
  }

  void onApplied(RouterActor.Applied applied) {
    tally.applied(applied);
  }

  void onApplied(ExpertActor.Applied applied) {
    tally.applied(applied);
  }

  /** An expert lost what it worked at: it gets its rows again, or what was decided. */
  void onRestarted(ExpertActor.Restarted restarted) {
    if (isDecided() && restarted.gradientStep() == step()) {
      applyAgain(restarted.layer(), restarted.expert());
    } else {
      group.tellRouters(
          new RouterActor.Resend(group.epoch(), restarted.layer(), restarted.expert()));
    }
  }

  /** Whether every owner has its gradient and nothing is decided yet. */
  boolean canDecide() {
    return !isDecided() && tally.allReady();
  }

  /** Decides what all owners do with their gradients; false if the global norm is not finite. */
  boolean decide() {
    double norm = tally.gradNorm();
    if (!Double.isFinite(norm)) {
      return false;
    }
    double clip = config.optimizer().clip();
    // PyTorch's clip_grad_norm_, its epsilon included.
    double scale = clip > 0 ? Math.min(1, clip / (norm + 1e-6)) : 1;
    decided =
        new AdamWStep(
            LearningRate.at(config.schedule(), step(), config.train().steps()),
            config.optimizer().beta1(),
            config.optimizer().beta2(),
            config.optimizer().epsilon(),
            step(),
            scale);
    apply();
    return true;
  }

  /** Tells all owners what was decided; may be repeated. */
  void apply() {
    // Routers first: what they send to each other travels while experts have theirs to do.
    group.tellRouters(new RouterActor.Apply(group.epoch(), decided));
    group.tellExperts(new ExpertActor.Apply(group.epoch(), decided));
  }

  private void applyAgain(int layer, int expert) {
    group.tellExpert(layer, expert, new ExpertActor.Apply(group.epoch(), decided));
  }

  /** Whether every owner is at this step. */
  boolean isCommitted() {
    return isDecided() && tally.allApplied();
  }
}
