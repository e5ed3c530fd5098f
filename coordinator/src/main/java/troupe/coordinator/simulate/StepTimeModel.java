package troupe.coordinator.simulate;

import java.util.Arrays;
import troupe.core.config.RunConfig;
import troupe.core.config.SimulateConfig.SimulatedCluster;
import troupe.router.trunk.TrunkParameters;

/**
 * Puts the time of a step together: each part as long as its slowest device, part after part.
 *
 * <pre>
 *   experts    max over devices of the end of list scheduling: its experts in order, each to the
 *              lane that is free first, for batches_e * batch + rows_e * row seconds
 *   exchange   max(max over devices(out, in) * bytes / link + latency,
 *                  max over nodes(out, in) * bytes / network + latency), 0 where nothing moves
 *   dispatch   rows of a rank * dispatchRow * ceil(ranks of a device / lanes) + exchange; combine alike
 *   backward   router, experts and both exchanges once more, at their backward speeds
 *   ranks      ceil(ranks of a device / lanes) * tokens of a rank * seconds a token
 *   optimizer  parameters of a device / lanes * seconds + the ring sum of the trunk's gradients
 * </pre>
 */
final class StepTimeModel {
  private final SimulatedCluster cluster;
  private final ClusterMap map;
  private final Speeds speeds;
  private final int moeLayers;
  private final double rowBytes;
  private final double trunkParameters;
  private final double expertParameters;

  StepTimeModel(RunConfig config, ClusterMap map, Speeds speeds) {
    this(
        map,
        speeds,
        config.model().moeLayers().size(),
        (double) config.model().dModel() * config.simulate().cluster().elementBytes(),
        TrunkParameters.layout(config).size(),
        config.model().moeLayers().isEmpty()
            ? 0
            : TrunkParameters.expertLayout(config, config.model().moeLayers().getFirst(), 0)
                .size());
  }

  StepTimeModel(
      ClusterMap map,
      Speeds speeds,
      int moeLayers,
      double rowBytes,
      double trunkParameters,
      double expertParameters) {
    this.cluster = map.cluster();
    this.map = map;
    this.speeds = speeds;
    this.moeLayers = moeLayers;
    this.rowBytes = rowBytes;
    this.trunkParameters = trunkParameters;
    this.expertParameters = expertParameters;
  }

  /** The parts that a layer has a share in, for what happened in it. */
  StepTime layer(RowTally tally) {
    double tokensOfDevice = waves() * map.tokens() / map.ranks();
    double rowsOfDevice = waves() * tally.ledger.kept() / map.ranks();
    double exchange = exchange(tally);
    double forward = experts(tally, speeds.expertForwardRow(), speeds.expertForwardBatch());
    double backward = experts(tally, speeds.expertBackwardRow(), speeds.expertBackwardBatch());
    return new StepTime(
        tokensOfDevice * speeds.routerForward(),
        rowsOfDevice * speeds.dispatchRow() + exchange,
        forward,
        rowsOfDevice * speeds.combineRow() + exchange,
        tokensOfDevice * speeds.routerBackward()
            + rowsOfDevice * speeds.returnRow()
            + 2 * exchange
            + backward,
        0,
        0,
        0);
  }

  /** The parts that do not depend on routing. */
  StepTime rest() {
    double tokensOfDevice = waves() * map.tokens() / map.ranks();
    double parameters =
        (double) map.mostExperts() * moeLayers * expertParameters
            + trunkParameters / map.ranks() * map.mostRanks();
    return new StepTime(
        0,
        0,
        0,
        0,
        0,
        tokensOfDevice * (speeds.trunkForward() + speeds.trunkBackward()),
        parameters / cluster.lanes() * speeds.optimizerParameter() + sumOfTrunk(),
        speeds.control());
  }

  /** How many ranks of the busiest device follow one another on a lane. */
  private double waves() {
    return Math.ceilDiv(map.mostRanks(), cluster.lanes());
  }

  private double experts(RowTally tally, double row, double batch) {
    double[][] busy_DL = new double[map.devices()][cluster.lanes()];
    double end = 0;
    for (int e = 0; e < tally.kept_E.length; e++) {
      double[] busy_L = busy_DL[map.deviceOfExpert(e)];
      int free = 0;
      for (int lane = 1; lane < busy_L.length; lane++) {
        free = busy_L[lane] < busy_L[free] ? lane : free;
      }
      busy_L[free] += tally.kept_E[e] * row + tally.batches_E[e] * batch;
      end = Math.max(end, busy_L[free]);
    }
    return end;
  }

  private double exchange(RowTally tally) {
    return Math.max(
        seconds(
            Math.max(most(tally.out_D), most(tally.in_D)) * rowBytes,
            cluster.linkBandwidth(),
            cluster.linkLatency()),
        seconds(
            Math.max(most(tally.out_N), most(tally.in_N)) * rowBytes,
            cluster.networkBandwidth(),
            cluster.networkLatency()));
  }

  private static long most(long[] values) {
    return Arrays.stream(values).max().orElse(0);
  }

  private static double seconds(double bytes, double bandwidth, double latency) {
    return bytes == 0 ? 0 : bytes / bandwidth + latency;
  }

  /** Reduce-scatter and all-gather in a ring: twice the bytes of all but one share. */
  private double sumOfTrunk() {
    int holders = Math.min(map.ranks(), map.devices());
    int ofNode = Math.min(holders, cluster.devices());
    int nodes = Math.min(holders, cluster.nodes());
    double bytes = 2 * trunkParameters * Float.BYTES;
    return Math.max(
        seconds(bytes * (ofNode - 1) / ofNode, cluster.linkBandwidth(), cluster.linkLatency()),
        seconds(bytes * (nodes - 1) / nodes, cluster.networkBandwidth(), cluster.networkLatency()));
  }
}
