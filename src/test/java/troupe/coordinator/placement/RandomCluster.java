package troupe.coordinator.placement;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.random.RandomGenerator;
import troupe.core.config.ConfigLoader;
import troupe.core.config.RunConfig;

/**
 * A run of random size and nodes that come and go, all of it decided by a seed. Nodes have one
 * device, or some more of equal memory.
 */
public final class RandomCluster {
  private final RandomGenerator random;
  private final RunConfig config;
  private final List<NodeInfo> nodes = new ArrayList<>();
  private final int mostDevices;
  private int named;

  public RandomCluster(long seed) {
    this(seed, 1);
  }

  /** Nodes have up to so many devices. */
  public RandomCluster(long seed, int mostDevices) {
    this.mostDevices = mostDevices;
    random = new Random(seed);
    int layers = 1 + random.nextInt(5);
    config = config(layers, 1 + random.nextInt(300 / layers), 1 + random.nextInt(16));
    int count = 1 + random.nextInt(40);
    boolean equal = random.nextBoolean();
    for (int n = 0; n < count; n++) {
      join(equal ? 4 : 1 + random.nextInt(16), 0);
    }
  }

  /** The config of a run with experts in every layer. */
  public static RunConfig config(int layers, int experts, int ranks) {
    return ConfigLoader.parse(
        "",
        List.of(
            "model.layers=" + layers,
            "model.moe_every=1",
            "experts.count=" + experts,
            "train.ranks=" + ranks,
            "train.batch=" + ranks,
            "train.micro_batches=1"));
  }

  public static NodeInfo node(int number, String name, int threads, long memoryBytes) {
    return node(number, name, threads, List.of(memoryBytes));
  }

  public static NodeInfo node(int number, String name, int threads, List<Long> deviceBytes) {
    String machine = "machine" + number % 3;
    return new NodeInfo(
        number, name, name + ":1", 1, "aeron:ipc", machine, "", "cpu", deviceBytes, threads);
  }

  public RunConfig config() {
    return config;
  }

  public RandomGenerator random() {
    return random;
  }

  /** Those that are there, in no particular order. */
  public List<NodeInfo> nodes() {
    return List.copyOf(nodes);
  }

  public NodeInfo join(int threads, long memoryBytes) {
    int number = random.nextInt(Integer.MAX_VALUE);
    int devices = mostDevices == 1 ? 1 : 1 + random.nextInt(mostDevices);
    NodeInfo node =
        node(number, "node-" + ++named, threads, Collections.nCopies(devices, memoryBytes));
    nodes.add(random.nextInt(nodes.size() + 1), node);
    return node;
  }

  public NodeInfo joinRandom() {
    return join(1 + random.nextInt(16), 0);
  }

  /** Kills one of several. */
  public void kill() {
    nodes.remove(random.nextInt(nodes.size()));
  }

  /** Loads as routers make them: a few experts are hot. Some are not known. */
  public Map<ExpertId, Double> load() {
    Map<ExpertId, Double> load = new HashMap<>();
    for (ExpertId expert : ExpertId.all(config)) {
      if (random.nextInt(10) > 0) {
        load.put(expert, 100 * Math.exp(random.nextGaussian()));
      }
    }
    return load;
  }
}
