package troupe.router.trunk;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalLong;
import troupe.core.config.RunConfig;
import troupe.core.data.TokenCounts;
import troupe.core.nn.ParameterLayout;
import troupe.core.nn.Parameters;
import troupe.core.optim.OwnedParameters;
import troupe.core.tensor.Device;
import troupe.core.tensor.Tensor;
import troupe.expert.network.Incarnations;

/**
 * The committed state of a rank: a copy of the trunk, and the moments of the slice that this rank
 * owns. It outlives the incarnations of the router that works on it.
 */
public final class RankState implements AutoCloseable {
  private final int rank;
  private final Device device;
  private final RunConfig config;
  private final Slices slices;
  private final Segments segments;
  private final Parameters parameters;
  private final Parameters gradients;
  private final Tensor sum;
  private final OwnedParameters owned;
  private final Trunk trunk;
  private final MoeLayer[] moeLayers;
  private final long[] sliceSteps;
  private final List<MicroBatch> retired = new ArrayList<>();
  private long gradientStep = -1;
  private final Incarnations incarnations = new Incarnations();

  /** A rank whose trunk starts from the seed of {@code config}, whatever the text is. */
  public RankState(Device device, RunConfig config, int rank) {
    this(device, config, rank, TokenCounts.UNKNOWN);
  }

  /**
   * A rank whose trunk starts from the seed of {@code config}.
   *
   * @param counts of the text that the run trains on
   */
  public RankState(Device device, RunConfig config, int rank, TokenCounts counts) {
    this.rank = rank;
    this.device = device;
    this.config = config;
    ParameterLayout layout = TrunkParameters.layout(config);
    this.slices = new Slices(layout.size(), config.train().ranks());
    this.segments = new Segments(layout, slices, TrunkParameters.finalAfter(config));
    this.parameters = TrunkParameters.initialised(device, config, layout, counts);
    this.gradients = new Parameters(device, layout);
    this.sum = slices.ranks() == 1 ? null : device.allocate(1, slices.count(rank));
    this.owned =
        new OwnedParameters(
            device,
            parameterSlice(rank),
            layout.decayed() - slices.from(rank),
            layout.optimized() - slices.from(rank),
            config.optimizer().weightDecay());
    this.trunk = new Trunk(device, config.model(), parameters, gradients);
    this.moeLayers = new MoeLayer[config.model().layers()];
    for (int layer = 0; layer < moeLayers.length; layer++) {
      if (config.model().isMoe(layer)) {
        moeLayers[layer] = new MoeLayer(device, config, layer, parameters, gradients);
      }
    }
    this.sliceSteps = new long[config.train().ranks()];
  }

  /** The rank. */
  public int rank() {
    return rank;
  }

  /** The config of the run. */
  public RunConfig config() {
    return config;
  }

  /** The device that holds it. */
  public Device device() {
    return device;
  }

  /** The trunk. */
  public Trunk trunk() {
    return trunk;
  }

  /** The gate's side of a layer, or {@code null} for a layer without experts. */
  public MoeLayer moeLayer(int layer) {
    return moeLayers[layer];
  }

  /** The trunk's parameters. */
  public Parameters parameters() {
    return parameters;
  }

  /** This rank's gradients of the whole trunk. */
  public Parameters gradients() {
    return gradients;
  }

  /** How the trunk is cut. */
  public Slices slices() {
    return slices;
  }

  /** How the gradient of each slice is cut. */
  public Segments segments() {
    return segments;
  }

  /** The slice of this rank as the optimizer sees it. */
  public OwnedParameters owned() {
    return owned;
  }

  /**
   * Where the gradients of all ranks are summed for the slice that this rank owns. A rank that is
   * alone has the sum where its gradient is.
   */
  public Tensor gradientSum() {
    return sum == null ? gradients.flat() : sum;
  }

  /** The part of {@link #gradientSum()} that is a gradient: without what gates keep. */
  public Tensor optimizedGradientSum() {
    long count = parameters.layout().optimized() - slices.from(rank);
    return gradientSum().slice(0, 1, Math.clamp(count, 0, slices.count(rank)));
  }

  /** The part of {@link #gradientSum()} for a segment of the slice that this rank owns. */
  public Tensor gradientSum(Segments.Segment segment) {
    return gradientSum().slice(segment.from() - slices.from(rank), 1, segment.count());
  }

  /** A rank's slice of the parameters. */
  public Tensor parameterSlice(int rank) {
    return parameters.flat().slice(slices.from(rank), 1, slices.count(rank));
  }

  /** A rank's slice of this rank's gradients. */
  public Tensor gradientSlice(int rank) {
    return gradients.flat().slice(slices.from(rank), 1, slices.count(rank));
  }

  /** A segment of this rank's gradients. */
  public Tensor gradient(Segments.Segment segment) {
    return gradients.flat().slice(segment.from(), 1, segment.count());
  }

  /** The step whose gradient is complete in {@link #gradientSum()}, or -1. */
  public long gradientStep() {
    return gradientStep;
  }

  /** Says which step's gradient is complete, -1 for none. */
  public void gradientStep(long step) {
    gradientStep = step;
  }

  /** Says that a slice of the parameters is that after {@code step}. */
  public void sliceUpdated(int rank, long step) {
    sliceSteps[rank] = step;
  }

  /** The step that a slice of the parameters is the result of. */
  public long sliceStep(int rank) {
    return sliceSteps[rank];
  }

  /**
   * The step that all parameters are the result of; empty while slices are of different steps, or
   * the update of the own one was interrupted.
   */
  public OptionalLong wholeStep() {
    long step = sliceSteps[rank];
    boolean isWhole =
        owned.isWhole() && Arrays.stream(sliceSteps).allMatch(sliceStep -> sliceStep == step);
    return isWhole ? OptionalLong.of(step) : OptionalLong.empty();
  }

  /** Says that all parameters and moments are those after {@code step}. */
  public void loaded(long step) {
    owned.loaded(step);
    Arrays.fill(sliceSteps, step);
  }

  /** Whether every slice of the parameters is that after {@code step}. */
  public boolean hasAllSlices(long step) {
    return Arrays.stream(sliceSteps).allMatch(sliceStep -> sliceStep >= step);
  }

  /**
   * Keeps the rows of a step that was given up: experts that have yet to hear of the new epoch may
   * still be reading what was lent to them.
   */
  public void retire(List<MicroBatch> micros) {
    retired.addAll(micros);
  }

  /** Frees what was retired, once no expert works in the old epoch any more. */
  public void closeRetired() {
    retired.forEach(MicroBatch::close);
    retired.clear();
  }

  /** What outlives the incarnations of its actor. */
  public Incarnations incarnations() {
    return incarnations;
  }

  @Override
  public void close() {
    closeRetired();
    owned.close();
    if (sum != null) {
      sum.close();
    }
    gradients.close();
    parameters.close();
  }
}
