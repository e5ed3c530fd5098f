package troupe.coordinator.chaos;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import troupe.coordinator.chaos.Disturbance.Kind;

/**
 * An endless sequence of faults that depends on its seed and on the number of nodes only. It goes
 * round by round: every kind that the cluster can survive comes once in a round, with as many
 * returns as deaths, in an order drawn anew.
 *
 * <p>At no time is a fault planned that would leave half of the nodes or fewer: keep-majority would
 * stop the rest, rightly.
 */
public final class ChaosPlan implements Iterator<Disturbance> {
  /**
   * How long things last.
   *
   * @param calmLeast of undisturbed training between the end of a recovery and the next fault
   * @param calmMost of that
   * @param pauseLeast of a paused node: longer than it takes the others to give it up
   * @param pauseMost of that
   */
  public record Pace(
      Duration calmLeast, Duration calmMost, Duration pauseLeast, Duration pauseMost) {
    /** A node is given up after some 7 s, the coordinator is elsewhere after some 10 s. */
    public static final Pace USUAL =
        new Pace(
            Duration.ofSeconds(5),
            Duration.ofSeconds(15),
            Duration.ofSeconds(15),
            Duration.ofSeconds(25));
  }

  // Specified to the bit by its Javadoc: the plan of a seed is the same under every JDK.
  private final Random random;
  private final int nodes;
  private final boolean lossy;
  private final Pace pace;
  private final List<Kind> round = new ArrayList<>();
  private int living;

  /**
   * The plan of a seed.
   *
   * @param nodes that are there at the beginning
   * @param lossy whether packets can be lost: only UDP loses any
   */
  public ChaosPlan(long seed, int nodes, boolean lossy, Pace pace) {
    this.random = new Random(seed);
    this.nodes = nodes;
    this.living = nodes;
    this.lossy = lossy;
    this.pace = pace;
  }

  /** The most nodes that may be lost at once so that more than half remain. */
  static int mostDeaths(int living) {
    return (living - 1) / 2;
  }

  /** Whether there is any fault for so few nodes. */
  @Override
  public boolean hasNext() {
    return nodes > 1;
  }

  @Override
  public Disturbance next() {
    if (round.isEmpty()) {
      fillRound();
    }
    Kind kind = takeFirstPossible();
    living -= kind.deaths();
    return new Disturbance(
        kind,
        random.nextInt(Integer.MAX_VALUE),
        between(pace.calmLeast, pace.calmMost),
        kind.isPause() ? between(pace.pauseLeast, pace.pauseMost) : Duration.ZERO);
  }

  /**
   * Experts that throw, each time once, for {@code faults.expert_throws}: from step 10 on, one in
   * 60 to 300 steps, and none again before all others had their turn: one that throws all the time
   * is given up, rightly.
   *
   * @param layers the layers that have experts
   * @param experts in each of them
   * @param count how often any throws
   */
  static List<String> expertThrows(long seed, List<Integer> layers, int experts, int count) {
    // Another stream than the plan's, which must not depend on the model.
    Random random = new Random(~seed);
    String[] phases = {"forward", "backward", "apply"};
    List<String> turns = new ArrayList<>();
    List<String> all = new ArrayList<>();
    int step = 10;
    while (all.size() < count) {
      if (turns.isEmpty()) {
        for (int layer : layers) {
          IntStream.range(0, experts).forEach(expert -> turns.add(layer + "/" + expert));
        }
        Collections.shuffle(turns, random);
      }
      step += random.nextInt(60, 301);
      String phase = phases[random.nextInt(phases.length)];
      all.add(step + ":" + turns.removeLast() + ":" + phase);
    }
    return all;
  }

  private void fillRound() {
    List<Kind> deadly =
        List.of(
            Kind.KILL_WORKER,
            Kind.KILL_COORDINATOR,
            Kind.PAUSE_WORKER,
            Kind.PAUSE_COORDINATOR,
            Kind.LEAVE,
            Kind.KILL_TWO);
    int deaths = 0;
    for (Kind kind : deadly) {
      if (kind.deaths() <= mostDeaths(nodes)) {
        round.add(kind);
        deaths += kind.deaths();
      }
    }
    for (int i = 0; i < deaths; i++) {
      round.add(lossy && i == 0 ? Kind.REJOIN_LOSSY : Kind.REJOIN);
    }
    round.add(Kind.MOVE);
    Collections.shuffle(round, random);
  }

  /** A round has as many returns as deaths, so there is always one that can be. */
  private Kind takeFirstPossible() {
    for (Iterator<Kind> kinds = round.iterator(); kinds.hasNext(); ) {
      Kind kind = kinds.next();
      if (isPossible(kind)) {
        kinds.remove();
        return kind;
      }
    }
    throw new IllegalStateException(living + " of " + nodes + " nodes live, left are " + round);
  }

  private boolean isPossible(Kind kind) {
    return kind.deaths() < 0
        ? living < nodes
        : kind.deaths() == 0 || kind.deaths() <= mostDeaths(living);
  }

  private Duration between(Duration least, Duration most) {
    return Duration.ofMillis(random.nextLong(least.toMillis(), most.toMillis() + 1));
  }
}
