package troupe.simulation;

import static troupe.simulation.Invariants.require;

import java.lang.foreign.MemorySegment;
import java.util.Map;
import java.util.SplittableRandom;
import troupe.coordinator.events.Outcome;
import troupe.coordinator.host.EpochPlan;
import troupe.coordinator.host.Model;
import troupe.coordinator.run.Shards;
import troupe.core.config.RunConfig;
import troupe.core.nn.Parameters;
import troupe.core.tensor.reference.ReferenceDevice;
import troupe.expert.network.ExpertState;
import troupe.router.trunk.RankState;

/**
 * One schedule of a run: nothing in it is left to chance or to the machine that plays it.
 *
 * @param name says which one it is, for who has to play it again
 */
record Schedule(
    SimulatedSystem system,
    RunConfig config,
    Undisturbed undisturbed,
    String name,
    Conditions conditions,
    Throws faults,
    Trouble.Maker trouble) {
  /** Far more than any schedule takes, by simulated time and by number. */
  private static final double MAX_SECONDS = 300;

  private static final long MAX_EVENTS = 200_000;

  /** Longer than anything is on its way. */
  private static final double SETTLING_SECONDS = 10;

  /**
   * What a schedule was like.
   *
   * @param trace hash of everything that happened
   */
  record Played(long trace, long events, double seconds) {}

  /**
   * The schedule of a seed.
   *
   * @param configs the same run by the number of its nodes at first, from 1
   */
  static Schedule ofSeed(
      SimulatedSystem system, Map<Integer, RunConfig> configs, Undisturbed undisturbed, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    RunConfig config = configs.get(1 + random.nextInt(configs.size()));
    Throws faults = Throws.drawn(config, random);
    // Nothing is lost until everybody has asked twice for what was.
    long calmNs = (long) (3 * config.cluster().replyTimeoutSeconds() * 1e9);
    return new Schedule(
        system,
        config,
        undisturbed,
        "seed=" + seed + " (again: -Dtest=SimulationTest -Dsimulation.seed=" + seed + ")",
        Conditions.drawn(random, calmNs),
        faults,
        Disturbances::new);
  }

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
          "%s: %s%nits last events:%n%s".formatted(name, e.getMessage(), system.loop().trace()), e);
    }
  }

  private Played playChecked() {
    EventLoop loop = system.loop();
    Invariants invariants = new Invariants(config, undisturbed);
    try (SimulatedCluster cluster = new SimulatedCluster(system, conditions);
        HostedRun run = new HostedRun(cluster, loop, config, faults, invariants)) {
      Trouble made = trouble.of(config, cluster, run, loop);
      loop.trace()
          .begin(
              "nodes=%d trouble=%s throws: %s".formatted(config.cluster().nodes(), made, faults));
      invariants.watch(cluster, run);
      loop.observer(invariants::onMessage);
      run.start();
      long events = 0;
      while (invariants.outcome() == null) {
        require(loop.step(), "nothing is going to happen any more");
        invariants.check();
        if (invariants.plan() != null && invariants.outcome() == null) {
          made.onEvent();
        }
        require(++events < MAX_EVENTS, "no end within %d events", MAX_EVENTS);
        require(loop.nowNs() < MAX_SECONDS * 1e9, "no end within %.0f s", MAX_SECONDS);
      }
      Played played = new Played(loop.trace().hash(), events, loop.nowNs() / 1e9);
      require(
          invariants.outcome().equals(new Outcome.Completed(config.train().steps())),
          "%s",
          invariants.outcome());
      require(undisturbed.hash().equals(hash(config, invariants.plan(), run)), "other parameters");
      // What is on its way still arrives, and is not wanted any more.
      double end = loop.nowNs() + SETTLING_SECONDS * 1e9;
      while (loop.nowNs() < end && loop.step()) {}
      for (int node : run.present()) {
        Member member = run.member(node);
        if (member.isFinished()) {
          long bytes = member.closeAndCount();
          require(bytes == 0, "node %d leaves %d bytes behind", node, bytes);
        }
      }
      return played;
    }
  }

  /** The hash of a whole model put together from the nodes where its owners live. */
  private static String hash(RunConfig config, EpochPlan plan, HostedRun run) {
    try (ReferenceDevice device = new ReferenceDevice();
        Model whole = new Model(device, config)) {
      for (RankState rank : whole.ranks()) {
        int node = plan.placement().nodeOfRank(rank.rank());
        RankState owner =
            run.member(node).model().ranks().stream()
                .filter(one -> one.rank() == rank.rank())
                .findAny()
                .orElseThrow();
        copy(owner.parameters(), rank.parameters());
      }
      MemorySegment trunkOfFirst = bytes(whole.ranks().getFirst());
      for (RankState rank : whole.ranks()) {
        require(bytes(rank).mismatch(trunkOfFirst) == -1, "rank %d has another trunk", rank.rank());
      }
      for (ExpertState expert : whole.experts()) {
        int node = plan.placement().nodeOfExpert(expert.layer(), expert.expert());
        ExpertState owner =
            run.member(node).model().experts().stream()
                .filter(one -> one.prefix().equals(expert.prefix()))
                .findAny()
                .orElseThrow();
        copy(owner.parameters(), expert.parameters());
      }
      return Shards.hash(whole);
    }
  }

  private static void copy(Parameters from, Parameters to) {
    MemorySegment.copy(from.flat().bytes(), 0, to.flat().bytes(), 0, to.flat().bytes().byteSize());
  }

  private static MemorySegment bytes(RankState rank) {
    return rank.parameters().flat().bytes();
  }
}
