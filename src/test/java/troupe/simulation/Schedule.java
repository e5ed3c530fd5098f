package troupe.simulation;

import static troupe.simulation.Invariants.require;

import java.util.SplittableRandom;
import java.util.stream.Collectors;
import troupe.coordinator.Outcome;
import troupe.coordinator.run.Model;
import troupe.coordinator.run.Shards;
import troupe.core.config.RunConfig;
import troupe.core.tensor.reference.ReferenceDevice;
import troupe.router.trunk.RankState;

/**
 * One schedule: everything that happens follows from its seed.
 *
 * @param seed draws the nodes, the conditions, and who throws when
 */
record Schedule(SimulatedSystem system, RunConfig config, Undisturbed undisturbed, long seed) {
  private static final int MAX_NODES = 4;

  /** Far more than any schedule takes, by simulated time and by number. */
  private static final double MAX_SECONDS = 300;

  private static final long MAX_EVENTS = 200_000;

  /**
   * What a schedule was like.
   *
   * @param trace hash of everything that happened
   */
  record Played(long trace, long events, double seconds) {}

  /**
   * Plays it to its end.
   *
   * @throws AssertionError if an invariant is broken; the message tells how to see it again
   */
  Played play() {
    try {
      return playChecked();
    } catch (AssertionError | RuntimeException e) {
      throw new AssertionError(
          """
          seed=%d: %s
          replay: mvn -q -o -pl src -am test -Dtest=SimulationTest -Dsurefire.failIfNoSpecifiedTests=false -Dsimulation.seed=%d
          its last events:
          %s"""
              .formatted(seed, e.getMessage(), seed, system.loop().trace()),
          e);
    }
  }

  private Played playChecked() {
    SplittableRandom random = new SplittableRandom(seed);
    int nodes = 1 + random.nextInt(MAX_NODES);
    Throws faults = Throws.drawn(config, random);
    // Nothing is lost until everybody has asked twice for what was.
    long calmNs = (long) (3 * config.cluster().replyTimeoutSeconds() * 1e9);
    Conditions conditions = Conditions.drawn(random, calmNs);
    EventLoop loop = system.loop();
    try (ReferenceDevice device = new ReferenceDevice();
        Model model = new Model(device, config)) {
      long bytes = device.allocatedBytes();
      Invariants invariants = new Invariants(model, undisturbed);
      long events = 0;
      try (SimulatedCluster cluster = new SimulatedCluster(system, conditions)) {
        ScatteredRun.start(cluster, loop, model, faults, nodes, invariants);
        while (invariants.outcome() == null) {
          require(loop.step(), "nothing is going to happen any more");
          invariants.check();
          require(++events < MAX_EVENTS, "no end within %d events", MAX_EVENTS);
          require(loop.nowNs() < MAX_SECONDS * 1e9, "no end within %.0f s", MAX_SECONDS);
        }
        loop.calm();
        system.run();
        invariants.check();
      }
      require(
          invariants.outcome().equals(new Outcome.Completed(config.train().steps())),
          "%s",
          invariants.outcome());
      checkParameters(model);
      require(
          device.allocatedBytes() == bytes,
          "%d bytes left behind",
          device.allocatedBytes() - bytes);
      return new Played(loop.trace().hash(), events, loop.nowNs() / 1e9);
    }
  }

  private void checkParameters(Model model) {
    require(undisturbed.hash().equals(Shards.hash(model)), "other parameters");
    int trunks =
        model.ranks().stream()
            .map((RankState rank) -> rank.parameters().flat().toDoubles())
            .map(java.util.Arrays::toString)
            .collect(Collectors.toSet())
            .size();
    require(trunks == 1, "ranks with %d different trunks", trunks);
  }
}
