package troupe.simulation;

import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.Map;
import java.util.SortedMap;
import java.util.function.BooleanSupplier;
import troupe.coordinator.RunListener;
import troupe.coordinator.StepReport;
import troupe.coordinator.events.Outcome;
import troupe.coordinator.events.RunEvent;
import troupe.coordinator.host.EpochPlan;
import troupe.core.config.RunConfig;
import troupe.expert.ExpertActor;
import troupe.expert.network.ExpertState;
import troupe.router.RouterActor;
import troupe.router.trunk.RankState;

/** What must be true of a run after every event, whatever has gone wrong. */
final class Invariants {
  /** An owner in an epoch. */
  private record Owner(int epoch, String name) {}

  private final RunConfig config;
  private final Undisturbed undisturbed;
  private final Map<Owner, Integer> nodeOfOwner = new HashMap<>();
  private HostedRun run;
  private SimulatedCluster cluster;
  private EpochPlan plan;
  private long step;
  private long furthest;
  private Outcome outcome;

  /** What an actor was told when it broke something; it may not see to it that anybody hears. */
  private AssertionError broken;

  Invariants(RunConfig config, Undisturbed undisturbed) {
    this.config = config;
    this.undisturbed = undisturbed;
  }

  /** Looks at this run from now on. */
  void watch(SimulatedCluster watchedCluster, HostedRun watched) {
    cluster = watchedCluster;
    run = watched;
  }

  /** How the run ended, or {@code null}. */
  Outcome outcome() {
    return outcome;
  }

  /** The plan of the epoch that began last, or {@code null}. */
  EpochPlan plan() {
    return plan;
  }

  /** The last committed step. */
  long step() {
    return step;
  }

  /** What a coordinator tells; unheard unless {@code current}. */
  RunListener listener(BooleanSupplier current) {
    return new RunListener() {
      @Override
      public void committed(StepReport report) {
        if (current.getAsBoolean()) {
          guarded(() -> onCommitted(report));
        }
      }

      @Override
      public void evaluated(long ofStep, double loss, long tokens) {
        if (current.getAsBoolean()) {
          String found = Undisturbed.text(ofStep, loss, tokens);
          guarded(
              () ->
                  require(
                      undisturbed.validations().contains(found),
                      "validation %s (expected: one of %s)",
                      found,
                      undisturbed.validations()));
        }
      }

      @Override
      public void epochBegan(EpochPlan next, String coordinator) {
        if (current.getAsBoolean()) {
          guarded(() -> onEpoch(next));
        }
      }

      @Override
      public void happened(RunEvent event) {
        if (current.getAsBoolean() && event instanceof RunEvent.Restarted restarted) {
          guarded(
              () ->
                  require(
                      restarted.cause().contains("injected"),
                      "%s was not told to restart: %s",
                      restarted.who(),
                      restarted.cause()));
        }
      }

      @Override
      public void finished(Outcome end) {
        if (current.getAsBoolean()) {
          guarded(() -> require(outcome == null, "ended twice: %s, %s", outcome, end));
          outcome = end;
        }
      }
    };
  }

  private void onEpoch(EpochPlan next) {
    // Whoever came last and has heard of no epoch begins anew when all others are gone.
    boolean anew = plan != null && Collections.disjoint(plan.nodes(), next.nodes());
    require(
        plan == null || next.epoch() > plan.epoch() || anew, "epoch %d began again", next.epoch());
    if (anew) {
      nodeOfOwner.clear();
    }
    // A step that everybody has applied stays, even if its coordinator did not live to say so.
    require(
        next.step() <= furthest + 1, "epoch begins at step %d, after %d", next.step(), furthest);
    furthest = Math.max(furthest, next.step());
    plan = next;
    step = next.step();
  }

  private void onCommitted(StepReport report) {
    require(report.step() == step + 1, "committed step %d after %d", report.step(), step);
    step = report.step();
    furthest = Math.max(furthest, step);
    long tokens = (long) config.train().batch() * config.model().seq();
    for (SortedMap.Entry<Integer, long[]> load : report.load().entrySet()) {
      long rows = Arrays.stream(load.getValue()).sum();
      require(
          rows == tokens, "step %d layer %d routed %d of %d", step, load.getKey(), rows, tokens);
    }
    String expected = undisturbed.steps().get(Math.toIntExact(step) - 1);
    String found = Undisturbed.text(report);
    require(found.equals(expected), "%n%s%n(expected: %s)", found, expected);
    plan.nodes().forEach(info -> checkSteps(run.member(info.node()), step, step));
  }

  /** Runs a check on an actor's thread, where nothing may be thrown. */
  private void guarded(Runnable check) {
    try {
      check.run();
    } catch (AssertionError e) {
      broken = broken == null ? e : broken;
    }
  }

  /** Checks what can be seen from outside, and reports what was seen inside. */
  void check() {
    if (broken != null) {
      throw broken;
    }
    // Once somebody has heard of a newer epoch, nodes of this one stop at different times.
    if (plan != null && cluster.newestEpoch() == plan.epoch()) {
      plan.nodes().forEach(info -> checkSteps(run.member(info.node()), step, step + 1));
    }
  }

  private void checkSteps(Member member, long from, long to) {
    for (RankState rank : member.model().ranks()) {
      checkStep(member, "rank", rank.rank(), rank.owned().committedStep(), from, to);
    }
    for (ExpertState expert : member.model().experts()) {
      checkStep(member, expert.prefix(), expert.expert(), expert.owned().committedStep(), from, to);
    }
  }

  private static void checkStep(
      Member member, String kind, int index, long found, long from, long to) {
    if (found < from || found > to) {
      throw new AssertionError(
          "%s %s %d at step %d (expected: %d to %d)"
              .formatted(member.name(), kind, index, found, from, to));
    }
  }

  /** An actor is about to get a message. */
  void onMessage(int node, String actor, Object message) {
    int epoch =
        switch (message) {
          case ExpertActor.Apply apply -> apply.epoch();
          case RouterActor.Apply apply -> apply.epoch();
          default -> -1;
        };
    // Whoever is given up may do what it likes, as long as nobody hears of it.
    if (epoch >= 0 && !cluster.isIsolated(node)) {
      Integer other = nodeOfOwner.putIfAbsent(new Owner(epoch, actor), node);
      guarded(
          () ->
              require(
                  other == null || other == node,
                  "%s lives on nodes %s and %d in epoch %d",
                  actor,
                  other,
                  node,
                  epoch));
    }
  }

  static void require(boolean holds, String message, Object... values) {
    if (!holds) {
      throw new AssertionError(message.formatted(values));
    }
  }
}
