package troupe.coordinator.simulate;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import troupe.core.UserException;
import troupe.core.config.GateType;
import troupe.core.config.RunConfig;
import troupe.core.config.SimulateConfig.SimulatedCluster;
import troupe.router.gate.Routing;

/**
 * Routes the tokens of every step by every router under every capacity factor. Groups of tokens are
 * spread over threads; what these count adds up in any order, so the same config gives the same
 * numbers whatever the threads.
 */
final class Simulation {
  /** Told how far it is, now and then, on any thread. */
  interface Progress {
    /** So many tokens out of so many are routed. */
    void routed(long tokens, long of);
  }

  /** Logits, what a gate makes of them, and room to breathe. */
  private static final int ARRAYS_OF_A_GROUP = 3;

  private static final double SHARE_OF_HEAP = 0.7;

  private final RunConfig config;
  private final Tokens tokens;
  private final ClusterMap map;
  private final List<RouterSweep> sweeps = new ArrayList<>();
  private final int threads;
  private final Progress progress;
  private final long allTokens;
  private final AtomicLong routedTokens = new AtomicLong();

  private Simulation(
      RunConfig config, Tokens tokens, Speeds speeds, int threads, Progress progress) {
    this.config = config;
    this.tokens = tokens;
    this.progress = progress;
    this.map =
        new ClusterMap(
            config.simulate().cluster(), tokens.experts(), ranks(config), tokens.tokens());
    StepTimeModel model = new StepTimeModel(config, map, speeds);
    for (GateType type : config.simulate().routersOr(config.gate().type())) {
      sweeps.add(sweep(type, model));
    }
    this.threads = threadsThatFit(threads);
    this.allTokens = map.tokens() * tokens.layers() * tokens.steps().size() * sweeps.size();
  }

  private RouterSweep sweep(GateType type, StepTimeModel model) {
    try {
      return new RouterSweep(config, type, map, tokens, model);
    } catch (IllegalArgumentException e) {
      // The gate's keys, which were fine for gate.type, are not for this one.
      throw new UserException(
          "simulate.routers: " + e.getMessage(), "set the gate's key, or leave the router out", e);
    }
  }

  /** Routers that share the tokens. */
  static int ranks(RunConfig config) {
    SimulatedCluster cluster = config.simulate().cluster();
    return config.simulate().ranks() > 0
        ? config.simulate().ranks()
        : Math.multiplyExact(cluster.allDevices(), cluster.lanes());
  }

  /** Fewer threads where a group of tokens is large. */
  private int threadsThatFit(int wanted) {
    long logits = largestGroup() * (long) map.experts();
    long bytes = logits * Double.BYTES * ARRAYS_OF_A_GROUP;
    long most = (long) (Runtime.getRuntime().maxMemory() * SHARE_OF_HEAP);
    if (logits > Integer.MAX_VALUE - 8 || bytes > most) {
      throw new UserException(
          "simulate.group: %,d tokens of %,d experts need %,d MB of heap (expected: at most %,d MB)"
              .formatted(largestGroup(), map.experts(), bytes >> 20, most >> 20),
          "set simulate.group to fewer tokens, or TROUPE_HEAP=" + heap(bytes));
    }
    return Math.clamp(most / bytes, 1, wanted);
  }

  private static String heap(long bytes) {
    return (long) Math.ceil(bytes / SHARE_OF_HEAP / (1 << 30)) + "g";
  }

  private int largestGroup() {
    int largest = 1;
    for (int step = 0; step < tokens.steps().size(); step++) {
      for (Tokens.Group group : tokens.groups(step)) {
        largest = Math.max(largest, group.tokens());
      }
    }
    return largest;
  }

  /**
   * Runs a simulation.
   *
   * @param speeds of the cluster's devices
   * @param threads at most so many
   * @throws UserException if the trace or the heap is not as it has to be
   */
  static SimulationResult run(RunConfig config, Speeds speeds, int threads, Progress progress) {
    long began = System.nanoTime();
    try (Tokens tokens = open(config)) {
      Simulation simulation = new Simulation(config, tokens, speeds, threads, progress);
      simulation.routeAll();
      return simulation.result(speeds, (System.nanoTime() - began) / 1e9);
    }
  }

  private static Tokens open(RunConfig config) {
    return config.simulate().trace().isBlank()
        ? new DrawnTokens(config, ranks(config))
        : RecordedTokens.open(config);
  }

  private SimulationResult result(Speeds speeds, double seconds) {
    int largest = largestGroup();
    long groups = tokens.groups(0).stream().filter(group -> group.layer() == 0).count();
    return new SimulationResult(
        config,
        map,
        speeds,
        largest,
        tokens.layers(),
        tokens.layersEach(),
        tokens.steps(),
        tokens instanceof RecordedTokens recorded ? recorded.leftOut() : 0,
        seconds,
        sweeps.stream().map(sweep -> sweep.result(largest, groups)).toList());
  }

  private void routeAll() {
    try (ExecutorService pool =
        Executors.newFixedThreadPool(threads, Thread.ofPlatform().name("simulate-", 0).factory())) {
      try {
        for (int step = 0; step < tokens.steps().size(); step++) {
          routeStep(pool, step);
        }
      } finally {
        pool.shutdownNow();
      }
    }
  }

  private void routeStep(ExecutorService pool, int step) {
    List<Tokens.Group> groups = tokens.groups(step);
    List<Routing[]> routings = sweeps.stream().map(sweep -> new Routing[groups.size()]).toList();
    AtomicInteger next = new AtomicInteger();
    List<Future<List<RouterSweep.Partial>>> futures = new ArrayList<>();
    for (int thread = 0; thread < threads; thread++) {
      futures.add(pool.submit(work(step, groups, routings, next)));
    }
    List<List<RouterSweep.Partial>> partials = futures.stream().map(Simulation::join).toList();
    for (int i = 0; i < sweeps.size(); i++) {
      int router = i;
      sweeps.get(i).endStep(partials.stream().map(ofThread -> ofThread.get(router)).toList());
      sweeps.get(i).changeState(groups, Arrays.asList(routings.get(i)));
    }
  }

  private Callable<List<RouterSweep.Partial>> work(
      int step, List<Tokens.Group> groups, List<Routing[]> routings, AtomicInteger next) {
    return () -> {
      List<RouterSweep.Partial> partials = sweeps.stream().map(RouterSweep::partial).toList();
      double[] buffer = new double[0];
      for (int g = next.getAndIncrement(); g < groups.size(); g = next.getAndIncrement()) {
        Tokens.Group group = groups.get(g);
        Tokens.Seen seen = tokens.see(step, group, buffer);
        for (int i = 0; i < partials.size(); i++) {
          // Kept only for a gate with a state, whose routings are asked for once the step ends.
          Routing routing = partials.get(i).route(group, seen);
          routings.get(i)[g] = routing;
          progress.routed(routedTokens.addAndGet(group.tokens()), allTokens);
        }
        buffer = seen.logits_TE();
      }
      return partials;
    };
  }

  private static <T> T join(Future<T> future) {
    try {
      return future.get();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new CancellationException("interrupted");
    } catch (ExecutionException e) {
      if (e.getCause() instanceof IllegalArgumentException refused) {
        throw new UserException(
            "simulate: a gate refuses: " + refused.getMessage(),
            "simulate.factors=[0] for a gate without a limit, or leave it out of simulate.routers",
            refused);
      }
      if (e.getCause() instanceof RuntimeException failure) {
        throw failure;
      }
      if (e.getCause() instanceof Error failure) {
        throw failure;
      }
      throw new IllegalStateException(e.getCause());
    }
  }
}
