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
 * few messages: reports that everyone gives are held until all have given them, or a message is
 * full. What was reported of the step at hand is kept, for a message may get lost.
 */
final class Bundler {
  private final int epoch;
  private final int node;
  private final int owners;
  private final int routings;
  private final List<RouterActor.Event> routers = new ArrayList<>();
  private final List<ExpertActor.Event> experts = new ArrayList<>();
  private final List<RouterActor.Event> routersOfStep = new ArrayList<>();
  private final List<ExpertActor.Event> expertsOfStep = new ArrayList<>();
  private final Set<Routing> routed = new HashSet<>();
  private final Set<Object> ready = new HashSet<>();
  private final Set<Object> applied = new HashSet<>();
  private long asked;
  private long step = -1;
  private int numbers;

  private record Routing(int rank, int layer) {}

  /**
   * Collects the reports of an epoch.
   *
   * @param owners routers and experts that live here
   * @param routings how many times a gate has seen all tokens here in a step: ranks times layers
   *     with experts
   */
  Bundler(int epoch, int node, int owners, int routings) {
    this.epoch = epoch;
    this.node = node;
    this.owners = owners;
    this.routings = routings;
  }

  /** A step, counted from 1, is asked for; returns whether for the first time. */
  boolean begin(long newStep) {
    boolean isNew = newStep != asked;
    asked = newStep;
    return isNew;
  }

  /** Takes a report; returns whether it is time to {@link #take} what there is. */
  boolean add(RouterActor.Event event) {
    routers.add(event);
    return switch (event) {
      case RouterActor.Routed gate -> {
        of(gate.step());
        routersOfStep.add(gate);
        boolean repeated = !routed.add(new Routing(gate.rank(), gate.layer()));
        // The first load that is needed is that of the last layer: nobody waits for the others.
        boolean isFull = isFull(gate.stats().routed_E().length);
        yield repeated || routed.size() == routings || isFull;
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
        yield isLast(ready, expert) || isFull(1);
      }
      case ExpertActor.Applied done -> {
        of(done.step());
        expertsOfStep.add(done);
        yield isLast(applied, expert) || isFull(1);
      }
      case ExpertActor.Restarted restarted -> true;
    };
  }

  private void of(long newStep) {
    if (newStep != step) {
      step = newStep;
      routersOfStep.clear();
      expertsOfStep.clear();
      routed.clear();
      ready.clear();
      applied.clear();
    }
  }

  /** Whether this report, which may be a repeated one, completes the set. */
  private boolean isLast(Set<Object> reported, Object owner) {
    boolean repeated = !reported.add(owner);
    return repeated || reported.size() == owners;
  }

  private boolean isFull(int more) {
    numbers += more;
    return numbers >= Host.NUMBERS_A_MESSAGE;
  }

  boolean isEmpty() {
    return routers.isEmpty() && experts.isEmpty();
  }

  /** What was reported since the last time. */
  Host.Bundle take() {
    Host.Bundle bundle = new Host.Bundle(epoch, node, routers, experts);
    routers.clear();
    experts.clear();
    numbers = 0;
    return bundle;
  }

  /** All that was reported of a step, once more; empty if it is not the one at hand. */
  Host.Bundle again(long ofStep) {
    return ofStep == step
        ? new Host.Bundle(epoch, node, routersOfStep, expertsOfStep)
        : new Host.Bundle(epoch, node, List.of(), List.of());
  }
}
