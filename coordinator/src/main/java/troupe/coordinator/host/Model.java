package troupe.coordinator.host;

import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.stream.Stream;
import troupe.coordinator.placement.Balancer;
import troupe.coordinator.placement.ExpertId;
import troupe.coordinator.placement.Place;
import troupe.coordinator.placement.Placement;
import troupe.core.config.RunConfig;
import troupe.core.data.TokenCounts;
import troupe.core.nn.ParameterLayout;
import troupe.core.nn.Parameters;
import troupe.core.tensor.Device;
import troupe.core.tensor.DeviceGroup;
import troupe.expert.network.ExpertState;
import troupe.router.trunk.RankState;
import troupe.router.trunk.TrunkParameters;

/**
 * The committed state of the ranks and experts that a process owns: of all of a run on one machine,
 * of those that are placed there on one of many.
 */
public final class Model implements AutoCloseable {
  private final DeviceGroup devices;
  private final RunConfig config;
  private final TokenCounts counts;
  private final SortedMap<Integer, RankState> ranks = new TreeMap<>();
  private final SortedMap<ExpertId, ExpertState> experts = new TreeMap<>();

  /** A whole model on one device, whose parameters start from the seed of {@code config}. */
  public Model(Device device, RunConfig config) {
    this(DeviceGroup.of(device), config);
  }

  /** The same, spread over several. */
  public Model(DeviceGroup devices, RunConfig config) {
    this(devices, config, TokenCounts.UNKNOWN);
  }

  /**
   * The same, as a run starts with it.
   *
   * @param counts of the text that the run trains on
   */
  public Model(DeviceGroup devices, RunConfig config, TokenCounts counts) {
    this(config, devices, counts);
    Placement placement = Balancer.alone(config, devices.memoryBytes());
    for (int rank = 0; rank < config.train().ranks(); rank++) {
      freshRank(rank, device(placement.ranks().get(rank)));
    }
    placement.experts().forEach((expert, place) -> freshExpert(expert, device(place)));
  }

  private Model(RunConfig config, DeviceGroup devices, TokenCounts counts) {
    this.devices = devices;
    this.config = config;
    this.counts = counts;
  }

  /** A model of which nothing is here yet. */
  public static Model empty(DeviceGroup devices, RunConfig config, TokenCounts counts) {
    return new Model(config, devices, counts);
  }

  /** The devices that hold it. */
  public DeviceGroup devices() {
    return devices;
  }

  /** The device that a place is, which is on this node. */
  Device device(Place place) {
    return devices.devices().get(place.device());
  }

  /** What it was built from. */
  public RunConfig config() {
    return config;
  }

  /** All ranks here, in order. */
  public List<RankState> ranks() {
    return List.copyOf(ranks.values());
  }

  /** All experts here, by layer, then by index. */
  public List<ExpertState> experts() {
    return List.copyOf(experts.values());
  }

  /** A rank, or {@code null} if it is not here. */
  RankState rank(int rank) {
    return ranks.get(rank);
  }

  /** An expert, or {@code null} if it is not here. */
  ExpertState expert(ExpertId expert) {
    return experts.get(expert);
  }

  /** A rank as it starts from the seed, instead of the one that is here, if any. */
  RankState freshRank(int rank, Device device) {
    dropRank(rank);
    RankState fresh = new RankState(device, config, rank, counts);
    ranks.put(rank, fresh);
    return fresh;
  }

  /** An expert as it starts from the seed, instead of the one that is here, if any. */
  ExpertState freshExpert(ExpertId id, Device device) {
    dropExpert(id);
    ExpertState fresh =
        new ExpertState(
            device,
            id.layer(),
            id.expert(),
            TrunkParameters.expertLayout(config, id.layer(), id.expert()),
            config.model().activation(),
            config.optimizer().weightDecay(),
            config.seed());
    experts.put(id, fresh);
    return fresh;
  }

  /**
   * Has a rank that is here live on another of its devices; nothing has changed if that fails.
   *
   * @param fill makes the new state, which is its parameter, what the old one is
   */
  void moveRank(int rank, Device device, Consumer<RankState> fill) {
    RankState moved = new RankState(device, config, rank, counts);
    fill.accept(moved);
    ranks.put(rank, moved).close();
  }

  /**
   * Has an expert that is here live on another of its devices; nothing has changed if that fails.
   *
   * @param fill makes the new state, which is its parameter, what the old one is
   */
  void moveExpert(ExpertId id, Device device, Consumer<ExpertState> fill) {
    ExpertState moved = experts.get(id).emptyOn(device);
    fill.accept(moved);
    experts.put(id, moved).close();
  }

  /** Frees a rank that lives elsewhere now. */
  void dropRank(int rank) {
    RankState old = ranks.remove(rank);
    if (old != null) {
      old.close();
    }
  }

  /** Frees an expert that lives elsewhere now. */
  void dropExpert(ExpertId expert) {
    ExpertState old = experts.remove(expert);
    if (old != null) {
      old.close();
    }
  }

  /** All parameters of a whole model in canonical order: the trunk's, then each expert's. */
  public Stream<Parameters> parameters() {
    return Stream.concat(
        Stream.of(ranks.firstEntry().getValue().parameters()),
        experts.values().stream().map(ExpertState::parameters));
  }

  /** How many parameters a whole model has, each counted once. */
  public long parameterCount() {
    return parameterCount(config);
  }

  /** How many parameters the model of a run has, each counted once. */
  public static long parameterCount(RunConfig config) {
    return Stream.concat(
            Stream.of(TrunkParameters.layout(config)),
            ExpertId.all(config).stream()
                .map(id -> TrunkParameters.expertLayout(config, id.layer(), id.expert())))
        .mapToLong(ParameterLayout::parameterCount)
        .sum();
  }

  /** How many parameters one token meets: the trunk's, and those of one expert a layer. */
  public static long activeParameterCount(RunConfig config) {
    int perToken = config.gate().expertsPerToken(config.experts().count());
    return Stream.concat(
            Stream.of(TrunkParameters.layout(config)),
            ExpertId.all(config).stream()
                .filter(id -> id.expert() < perToken)
                .map(id -> TrunkParameters.expertLayout(config, id.layer(), id.expert())))
        .mapToLong(ParameterLayout::parameterCount)
        .sum();
  }

  /** The step that the parameters of a whole model are the result of. */
  public long committedStep() {
    return ranks.firstEntry().getValue().owned().committedStep();
  }

  @Override
  public void close() {
    ranks.values().forEach(RankState::close);
    experts.values().forEach(ExpertState::close);
    ranks.clear();
    experts.clear();
  }
}
