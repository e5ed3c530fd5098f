package troupe.simulation;

import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeMap;
import troupe.coordinator.host.Host;
import troupe.coordinator.placement.ExpertId;
import troupe.core.config.RunConfig;

/**
 * What happens to the nodes of a schedule, drawn from its seed: each thing at some event, so at any
 * point of any protocol.
 */
final class Disturbances implements Trouble {
  private enum Kind {
    /** The process of a node is gone. */
    KILL,
    /** It stands still for so long that it is given up, and wakes up. */
    FREEZE,
    /** It stands still for a moment. */
    STUTTER,
    /** A node is cut off, given up, and ends itself some time before or after that. */
    CUT_OFF,
    /** Nothing passes between two nodes for a moment. */
    FLAP,
    /** A node comes. */
    JOIN,
    /** A node is asked to go. */
    LEAVE,
    /** A user has an expert moved. */
    MOVE
  }

  private static final long MILLISECOND = 1_000_000;
  private static final long SECOND = 1_000 * MILLISECOND;
  private static final int MOST = 3;

  private final RunConfig config;
  private final SimulatedCluster cluster;
  private final HostedRun run;
  private final EventLoop loop;
  private final SplittableRandom random;

  /** By the number of the event at which it happens. */
  private final TreeMap<Long, Kind> plan = new TreeMap<>();

  /** Nodes that are as good as gone, whether anybody has noticed or not. */
  private final Set<Integer> doomed = new HashSet<>();

  private long events;

  Disturbances(RunConfig config, SimulatedCluster cluster, HostedRun run, EventLoop loop) {
    this.config = config;
    this.cluster = cluster;
    this.run = run;
    this.loop = loop;
    this.random = loop.conditions().random();
    int count = random.nextInt(MOST + 1);
    for (int i = 0; i < count; i++) {
      plan.put(
          (long) Math.pow(10, 1 + 2.5 * random.nextDouble()),
          Kind.values()[random.nextInt(Kind.values().length)]);
    }
  }

  @Override
  public String toString() {
    return plan.toString();
  }

  @Override
  public void onEvent() {
    events++;
    while (!plan.isEmpty() && plan.firstKey() <= events) {
      happen(plan.pollFirstEntry().getValue());
    }
  }

  private void happen(Kind kind) {
    List<Integer> present = run.present().stream().filter(one -> !doomed.contains(one)).toList();
    if (present.isEmpty()) {
      return;
    }
    int node = present.get(random.nextInt(present.size()));
    switch (kind) {
      case KILL -> {
        if (present.size() > 1) {
          cluster.kill(node);
          giveUp(node, noticed());
        }
      }
      case FREEZE -> {
        if (present.size() > 1) {
          long delayNs = noticed();
          cluster.pause(node);
          giveUp(node, delayNs);
          later(delayNs + some(SECOND), () -> cluster.resume(node));
          later(delayNs + SECOND + some(3 * SECOND), () -> cluster.kill(node));
        }
      }
      case STUTTER -> {
        cluster.pause(node);
        later(some(2 * SECOND), () -> cluster.resume(node));
      }
      case CUT_OFF -> {
        if (present.size() > 1) {
          long delayNs = noticed();
          cluster.isolate(node);
          giveUp(node, delayNs);
          later(delayNs - SECOND + some(3 * SECOND), () -> cluster.kill(node));
        }
      }
      case FLAP -> {
        int other = present.get(random.nextInt(present.size()));
        if (other != node) {
          cluster.cut(node, other);
          later(some(SECOND), () -> cluster.heal(node, other));
        }
      }
      case JOIN -> run.join();
      case LEAVE -> {
        if (present.size() > 1) {
          doomed.add(node);
          run.tell(node, new Host.Leave());
        }
      }
      case MOVE -> {
        List<ExpertId> experts = ExpertId.all(config).stream().toList();
        ExpertId expert = experts.get(random.nextInt(experts.size()));
        int through = present.get(random.nextInt(present.size()));
        run.tell(
            through,
            new Host.Move(expert.layer(), expert.expert(), placeOn(node), cluster.nobody()));
      }
    }
  }

  /** A node, or one of its devices, should it have two. */
  private String placeOn(int node) {
    String name = NodePath.nameOf(node);
    return random.nextBoolean() ? name : name + ":" + random.nextInt(2);
  }

  /** How long until a silent node is given up. */
  private long noticed() {
    return 2 * SECOND + some(6 * SECOND);
  }

  private void giveUp(int node, long delayNs) {
    doomed.add(node);
    run.giveUp(node, delayNs, some(3 * SECOND));
  }

  private long some(long mostNs) {
    return random.nextLong(mostNs);
  }

  private void later(long delayNs, Runnable action) {
    loop.post(
        loop.nowNs() + delayNs,
        EventLoop.NOBODY,
        () -> {
          if (!cluster.isClosed()) {
            action.run();
          }
        });
  }
}
