package troupe.coordinator.host;

import troupe.coordinator.host.Model;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import troupe.core.config.RunConfig;
import troupe.core.nn.ParameterLayout;
import troupe.core.nn.Parameters;
import troupe.core.tensor.Device;
import troupe.expert.network.ExpertState;
import troupe.router.trunk.RankState;
import troupe.router.trunk.TrunkParameters;

/**
 * The committed state of everything that a process owns: all ranks and all experts of a run on one
 * machine.
 */
public final class Model implements AutoCloseable {
  private final Device device;
  private final RunConfig config;
  private final List<RankState> ranks = new ArrayList<>();
  private final List<ExpertState> experts = new ArrayList<>();

  /** A model whose parameters start from the seed of {@code config}. */
  public Model(Device device, RunConfig config) {
    this.device = device;
    this.config = config;
    for (int rank = 0; rank < config.train().ranks(); rank++) {
      ranks.add(new RankState(device, config, rank));
    }
    for (int layer = 0; layer < config.model().layers(); layer++) {
      for (int expert = 0;
          config.model().isMoe(layer) && expert < config.experts().count();
          expert++) {
        experts.add(
            new ExpertState(
                device,
                layer,
                expert,
                TrunkParameters.expertLayout(config, layer, expert),
                config.model().activation(),
                config.optimizer().weightDecay(),
                config.seed()));
      }
    }
  }

  /** The device that holds it. */
  public Device device() {
    return device;
  }

  /** What it was built from. */
  public RunConfig config() {
    return config;
  }

  /** All ranks, in order. */
  public List<RankState> ranks() {
    return ranks;
  }

  /** All experts, by layer, then by index. */
  public List<ExpertState> experts() {
    return experts;
  }

  /** All parameters in canonical order: the trunk's, then each expert's. */
  public Stream<Parameters> parameters() {
    return Stream.concat(
        Stream.of(ranks.getFirst().parameters()), experts.stream().map(ExpertState::parameters));
  }

  /** How many parameters there are, each counted once. */
  public long parameterCount() {
    return parameters().map(Parameters::layout).mapToLong(ParameterLayout::parameterCount).sum();
  }

  /** How many parameters one token meets: the trunk's, and those of one expert a layer. */
  public long activeParameterCount() {
    return ranks.getFirst().parameters().layout().parameterCount()
        + experts.stream()
            .filter(expert -> expert.expert() == 0)
            .mapToLong(expert -> expert.parameters().layout().parameterCount())
            .sum();
  }

  /** The step that the parameters are the result of. */
  public long committedStep() {
    return ranks.getFirst().owned().committedStep();
  }

  @Override
  public void close() {
    ranks.forEach(RankState::close);
    experts.forEach(ExpertState::close);
  }
}
