package troupe.simulation;

import java.util.HashSet;
import java.util.Set;
import java.util.SplittableRandom;

/**
 * How unkind the world is in one schedule: how long things take, what the wires do to batches and
 * messages, who is cut off from whom. Each seed draws its own mixture, since faults that always
 * come together hide those that show alone.
 *
 * <p>Batches are lost or very late in storms only: spells of a number of events, far enough apart
 * for everybody to ask again in between. So a schedule that does not come to its end has found
 * something.
 */
final class Conditions {
  private static final long MICROSECOND = 1_000;
  private static final long MILLISECOND = 1_000_000;

  /** One ordered pair of nodes. */
  private record Link(int from, int to) {}

  private final SplittableRandom random;
  private final KeyedDraws draws;
  private final long meanComputeNs;
  private final long meanWireNs;
  private final double refusal;
  private final double duplication;
  private final double stall;
  private final boolean handsOver;
  private final double loss;
  private final double lateness;
  private final long calmNs;
  private final Set<Link> cuts = new HashSet<>();
  private final Set<Integer> isolated = new HashSet<>();
  private long events;
  private long stormFrom;
  private long stormTo;
  private long noStormBeforeNs;
  private boolean stormy;
  private long messages;
  private long lostMessage = -1;

  private Conditions(
      SplittableRandom random,
      long meanComputeNs,
      long meanWireNs,
      double[] probabilities,
      boolean handsOver,
      long calmNs) {
    this.random = random;
    this.draws = new KeyedDraws(random.nextLong());
    this.meanComputeNs = meanComputeNs;
    this.meanWireNs = meanWireNs;
    this.refusal = probabilities[0];
    this.duplication = probabilities[1];
    this.stall = probabilities[2];
    this.loss = probabilities[3];
    this.lateness = probabilities[4];
    this.handsOver = handsOver;
    this.calmNs = calmNs;
  }

  /** Nothing takes time and nothing is lost. */
  static Conditions ideal() {
    return new Conditions(
        new SplittableRandom(0), 0, 0, new double[] {0, 0, 0, 0, 0}, true, Long.MAX_VALUE);
  }

  /**
   * The conditions of a seed.
   *
   * @param calmNs how long nothing is lost after a storm
   */
  static Conditions drawn(SplittableRandom random, long calmNs) {
    Conditions drawn =
        new Conditions(
            random,
            logUniform(random, MICROSECOND, MILLISECOND),
            logUniform(random, MICROSECOND, 10 * MILLISECOND),
            new double[] {
              oneOf(random, 0, 0.02, 0.3),
              oneOf(random, 0, 0.02, 0.3),
              oneOf(random, 0, 0.001, 0.01),
              oneOf(random, 0, 0.1, 0.9),
              oneOf(random, 0, 0.1, 0.5)
            },
            random.nextBoolean(),
            calmNs);
    drawn.nextStorm(0);
    return drawn;
  }

  /** Everything takes its time and nothing goes wrong; but see {@link #loseMessage}. */
  static Conditions calm(long seed) {
    return new Conditions(
        new SplittableRandom(seed),
        20 * MICROSECOND,
        200 * MICROSECOND,
        new double[] {0, 0, 0, 0, 0},
        true,
        Long.MAX_VALUE);
  }

  private static long logUniform(SplittableRandom random, long from, long to) {
    return (long) (from * Math.pow((double) to / from, random.nextDouble()));
  }

  private static double oneOf(SplittableRandom random, double... values) {
    return values[random.nextInt(values.length)];
  }

  private void nextStorm(long afterEvent) {
    stormFrom = afterEvent + random.nextLong(1, 1_500);
    stormTo = stormFrom + logUniform(random, 1, 100);
  }

  /** The generator of everything else that is drawn in the schedule. */
  SplittableRandom random() {
    return random;
  }

  /** Called for each event. */
  void onEvent(long nowNs) {
    events++;
    boolean was = stormy;
    stormy = events >= stormFrom && events < stormTo && nowNs >= noStormBeforeNs;
    if (was && !stormy) {
      noStormBeforeNs = nowNs + calmNs;
    }
    if (events >= stormTo) {
      nextStorm(events);
    }
  }

  /** How long an actor waits for its turn. */
  long computeNs(long key) {
    if (stall > 0 && draws.next(key) < stall) {
      return (long) (draws.next(key) * 100 * MILLISECOND);
    }
    return exponential(key, meanComputeNs);
  }

  /** How long something is on its way. */
  long wireNs(long key) {
    return exponential(key, meanWireNs);
  }

  private long exponential(long key, long meanNs) {
    return meanNs == 0 ? 0 : (long) (-Math.log(1 - draws.next(key)) * meanNs);
  }

  /** How long a batch is on its way: in a storm up to half as long as the calm after it. */
  long batchNs(long key) {
    return stormy && draws.next(key) < lateness
        ? (long) (draws.next(key) * calmNs / 2)
        : wireNs(key);
  }

  /** Whether batches for actors of the same node are handed over, not copied. */
  boolean handsOver() {
    return handsOver;
  }

  /** Whether the transport has no room right now. */
  boolean refuses(long key) {
    return refusal > 0 && draws.next(key) < refusal;
  }

  /** Whether a batch arrives once more. */
  boolean duplicates(long key) {
    return duplication > 0 && draws.next(key) < duplication;
  }

  /** Whether a batch is lost. */
  boolean losesBatch(int from, int to, long key) {
    return isCut(from, to) || stormy && loss > 0 && draws.next(key) < loss;
  }

  /** Whether a control message is lost. */
  boolean losesMessage(int from, int to) {
    return messages++ == lostMessage || isCut(from, to);
  }

  /** Control messages between nodes so far. */
  long messages() {
    return messages;
  }

  /** The control message of that number, from 0, is lost. */
  void loseMessage(long number) {
    lostMessage = number;
  }

  /** Whether nothing passes between two nodes. */
  boolean isCut(int from, int to) {
    return from != to
        && (isolated.contains(from) || isolated.contains(to) || cuts.contains(new Link(from, to)));
  }

  /** Whether nothing passes between a node and any other. */
  boolean isIsolated(int node) {
    return isolated.contains(node);
  }

  /** From now on nothing passes between a node and any other. */
  void isolate(int node) {
    isolated.add(node);
  }

  /** From now on nothing passes between two nodes, in either direction. */
  void cut(int a, int b) {
    cuts.add(new Link(a, b));
    cuts.add(new Link(b, a));
  }

  /** Two nodes hear each other again. */
  void heal(int a, int b) {
    cuts.remove(new Link(a, b));
    cuts.remove(new Link(b, a));
  }
}
