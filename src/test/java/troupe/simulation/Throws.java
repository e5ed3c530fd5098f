package troupe.simulation;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.SplittableRandom;
import troupe.core.config.Fault;
import troupe.core.config.RunConfig;
import troupe.core.data.Batch;
import troupe.expert.FaultPlan;
import troupe.router.BatchSource;
import troupe.router.pass.DrawsSource;

/** Exceptions that owners throw in a schedule, drawn from its seed: each once. */
final class Throws {
  /** What a router throws when it is to. */
  private static final class Injected extends RuntimeException {
    private static final long serialVersionUID = 1;

    Injected() {
      super("injected");
    }
  }

  private record AtBatch(long step, int rank) {}

  private record AtGate(long step, int layer, int rank) {}

  private final RunConfig config;
  private final SplittableRandom random;
  private final List<Fault> experts = new ArrayList<>();
  private final Set<AtBatch> batches = new HashSet<>();
  private final Set<AtGate> gates = new HashSet<>();

  private Throws(RunConfig config, SplittableRandom random) {
    this.config = config;
    this.random = random;
  }

  static Throws none(RunConfig config) {
    return new Throws(config, new SplittableRandom(0));
  }

  /** At most two for a router, and two for experts: fewer than either is allowed. */
  static Throws drawn(RunConfig config, SplittableRandom random) {
    Throws drawn = new Throws(config, random);
    if (random.nextBoolean()) {
      int ofExperts = random.nextInt(3);
      for (int i = 0; i < ofExperts; i++) {
        drawn.experts.add(drawn.ofExpert());
      }
      int ofRouters = random.nextInt(3);
      for (int i = 0; i < ofRouters; i++) {
        drawn.ofRouter();
      }
    }
    return drawn;
  }

  private Fault ofExpert() {
    Fault.Phase[] phases = Fault.Phase.values();
    return Fault.parse(
        "%d:%d/%d:%s"
            .formatted(
                step(),
                layer(),
                random.nextInt(config.experts().count()),
                phases[random.nextInt(phases.length)].name().toLowerCase(Locale.ROOT)));
  }

  private void ofRouter() {
    int rank = random.nextInt(config.train().ranks());
    if (random.nextBoolean()) {
      batches.add(new AtBatch(step(), rank));
    } else {
      gates.add(new AtGate(step(), layer(), rank));
    }
  }

  private int step() {
    return 1 + random.nextInt(config.train().steps());
  }

  private int layer() {
    int layer = random.nextInt(config.model().layers());
    return config.model().isMoe(layer) ? layer : config.model().layers() - 1;
  }

  FaultPlan ofExperts() {
    return new FaultPlan(experts);
  }

  BatchSource in(BatchSource real) {
    return new BatchSource() {
      @Override
      public Batch training(long step, int rank, int microBatch) {
        if (batches.remove(new AtBatch(step, rank))) {
          throw new Injected();
        }
        return real.training(step, rank, microBatch);
      }

      @Override
      public Batch validation(int index, int count) {
        return real.validation(index, count);
      }
    };
  }

  DrawsSource in(DrawsSource real) {
    long tokensOfRank =
        (long) config.train().batch() / config.train().ranks() * config.model().seq();
    return (step, layer, firstToken) -> {
      if (gates.remove(new AtGate(step, layer, (int) (firstToken / tokensOfRank)))) {
        throw new Injected();
      }
      return real.draws(step, layer, firstToken);
    };
  }

  @Override
  public String toString() {
    return "experts=" + experts + " batches=" + batches + " gates=" + gates;
  }
}
