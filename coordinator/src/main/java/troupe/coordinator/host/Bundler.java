package troupe.coordinator.host;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import troupe.coordinator.placement.ExpertId;
import troupe.expert.ExpertActor;
import troupe.router.RouterActor;

/**
 * Collects what routers and experts of a node report, so that the coordinator hears of a step in
 * few messages: reports that everyone gives are held until all have given them. What was reported
 * of the step at hand is kept, for a message may get lost.
 */
final class Bundler {
  private final int epoch;
  private final int node;
  private final int owners;
  private final List<RouterActor.Event> routers = new ArrayList<>();
  private final List<ExpertActor.Event> experts = new ArrayList<>();
  private final List<RouterActor.Event> routersOfStep = new ArrayList<>();
  private final List<ExpertActor.Event> expertsOfStep = new ArrayList<>();
  private final Set<Object> ready = new HashSet<>();
  private final Set<Object> applied = new HashSet<>();
  private long step = -1;

  /**
   * Collects the reports of an epoch.
   *
   * @param owners routers and experts that live here
   */
  Bundler(int epoch, int node, int owners) {
    this.epoch = epoch;
    this.node = node;
    this.owners = owners;
  }

  /** Takes a report; returns whether it is time to {@link #take} what there is. */
  boolean add(RouterActor.Event event) {
    routers.add(event);
    return switch (event) {
      case RouterActor.Routed routed -> {
        of(routed.step());
        routersOfStep.add(routed);
        yield true;
      }
      case RouterActor.GradientReady gradient -> {
        of(gradient.step());
        routersOfStep.add(gradient);
        yield isLast(ready, gradient.rank());
      }
      case RouterActor.Applied done -> {
        of(done.step());
        routersOfStep.add(done);
        yield isLast(applied, done.rank());
      }
      case RouterActor.Evaluated evaluated -> true;
      case RouterActor.Generated generated -> true;
      case RouterActor.Moving moving -> true;
      case RouterActor.Late late -> true;
      case RouterActor.Diverged diverged -> true;
      case RouterActor.Restarted restarted -> true;
    };
  }

  /** Takes a report; returns whether it is time to {@link #take} what there is. */
  boolean add(ExpertActor.Event event) {
    experts.add(event);
    ExpertId expert = new ExpertId(event.layer(), event.expert());
    return switch (event) {
      case ExpertActor.GradientReady gradient -> {
        of(gradient.step());
        expertsOfStep.add(gradient);
        yield isLast(ready, expert);
      }
      case ExpertActor.Applied done -> {
        of(done.step());
        expertsOfStep.add(done);
        yield isLast(applied, expert);
      }
      case ExpertActor.Restarted restarted -> true;
    };
  }

  private void of(long newStep) {
    if (newStep != step) {
      step = newStep;
      routersOfStep.clear();
      expertsOfStep.clear();
      ready.clear();
      applied.clear();
    }
  }

  /** Whether this report, which may be a repeated one, completes the set. */
  private boolean isLast(Set<Object> reported, Object owner) {
    boolean repeated = !reported.add(owner);
    return repeated || reported.size() == owners;
  }

  boolean isEmpty() {
    return routers.isEmpty() && experts.isEmpty();
  }

  /** What was reported since the last time. */
  Host.Bundle take() {
    Host.Bundle bundle = new Host.Bundle(epoch, node, routers, experts);
    routers.clear();
    experts.clear();
    return bundle;
  }

  /** All that was reported of a step, once more; empty if it is not the one at hand. */
  Host.Bundle again(long ofStep) {
    return ofStep == step
        ? new Host.Bundle(epoch, node, routersOfStep, expertsOfStep)
        : new Host.Bundle(epoch, node, List.of(), List.of());
  }
}
