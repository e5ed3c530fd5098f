package troupe.coordinator.simulate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.api.Test;
import troupe.core.config.RunConfig;
import troupe.core.config.SimulateConfig.SimulatedCluster;
import troupe.router.gate.CapacitySweep;
import troupe.router.gate.GateInput;
import troupe.router.gate.Routing;

/** Times, bytes and places against numbers worked out by hand. */
class StepTimeModelTest {
  private static final double TOLERANCE = 1e-12;

  /** Every speed another number, so that none can stand for another. */
  private static final Speeds SPEEDS =
      new Speeds(1e-3, 1e-1, 2e-3, 2e-1, 3e-3, 4e-3, 5e-3, 6e-3, 7e-3, 8e-3, 9e-3, 1e-6, 0.5);

  private static SimulatedCluster cluster(String... overrides) {
    return Simulations.config(overrides).simulate().cluster();
  }

  /** Eight tokens of two ranks and four experts; token t wants expert want[t]. */
  private static RowTally tally(ClusterMap map, int... wanted_T) {
    RunConfig config =
        Simulations.config("gate.type=switch", "gate.top_k=1", "gate.jitter=0", "experts.count=4");
    double[] logits_TE = new double[wanted_T.length * 4];
    for (int t = 0; t < wanted_T.length; t++) {
      logits_TE[t * 4 + wanted_T[t]] = 1;
    }
    Routing routing =
        new CapacitySweep(config.gate())
            .route(GateInput.of(logits_TE, wanted_T.length, 4, null, true), List.of(0.0))
            .getFirst();
    RowTally tally = new RowTally(map);
    tally.add(routing, 0);
    return tally;
  }

  @Test
  void shouldAddUpOneDeviceWithTwoLanes() {
    ClusterMap map =
        new ClusterMap(
            cluster(
                "simulate.cluster.nodes=1",
                "simulate.cluster.devices=1",
                "simulate.cluster.lanes=2"),
            4,
            2,
            8);
    RowTally tally = tally(map, 0, 0, 0, 1, 1, 2, 2, 2);
    StepTimeModel model = new StepTimeModel(map, SPEEDS, 3, 100, 2000, 500);
    StepTime layer = model.layer(tally);
    // Lanes: expert 0 (0.1 + 3 * 0.001), expert 1 (0.102), then expert 2 on the lane of expert 1.
    assertEquals(0.102 + 0.103, layer.experts(), TOLERANCE);
    assertEquals(4 * 5e-3, layer.router(), TOLERANCE);
    assertEquals(4 * 7e-3, layer.dispatch(), TOLERANCE);
    assertEquals(4 * 8e-3, layer.combine(), TOLERANCE);
    double expertsBackward = 0.2 + 2 * 2e-3 + 0.2 + 3 * 2e-3;
    assertEquals(4 * 6e-3 + 4 * 9e-3 + expertsBackward, layer.backward(), TOLERANCE);
    StepTime rest = model.rest();
    assertEquals(4 * 7e-3, rest.trunk(), TOLERANCE);
    assertEquals((4 * 3 * 500 + 2000) / 2.0 * 1e-6, rest.optimizer(), TOLERANCE);
    assertEquals(0.5, rest.control(), TOLERANCE);
    double total =
        0.205 + 4 * (5e-3 + 7e-3 + 8e-3 + 6e-3 + 9e-3) + expertsBackward + 0.028 + 0.004 + 0.5;
    assertEquals(total, layer.plus(rest).total(), TOLERANCE);
  }

  @Test
  void shouldTakeTheBusiestDeviceAndTheSlowestLink() {
    SimulatedCluster cluster =
        cluster(
            "simulate.cluster.nodes=2",
            "simulate.cluster.devices=2",
            "simulate.cluster.link_bandwidth=1000",
            "simulate.cluster.link_latency=0.25",
            "simulate.cluster.network_bandwidth=100",
            "simulate.cluster.network_latency=0.5");
    // Four devices with a rank and an expert each; tokens 2d and 2d + 1 are on device d.
    ClusterMap map = new ClusterMap(cluster, 4, 4, 8);
    RowTally tally = tally(map, 0, 1, 0, 2, 0, 0, 3, 2);
    // Token 0 stays; 1 goes to device 1, 2 to device 0; 3, 4 and 5 change nodes; 6 stays; 7 to
    // device 2.
    assertEquals(2, tally.withinDevice());
    assertEquals(3, tally.withinNode());
    assertEquals(3, tally.betweenNodes());
    assertArrayEquals(new long[] {1, 1, 0, 1}, tally.out_D);
    assertArrayEquals(new long[] {1, 1, 1, 0}, tally.in_D);
    assertArrayEquals(new long[] {1, 2}, tally.out_N);
    assertArrayEquals(new long[] {2, 1}, tally.in_N);
    assertEquals(4, tally.mostRows());
    StepTimeModel model = new StepTimeModel(map, SPEEDS, 1, 40, 0, 0);
    StepTime layer = model.layer(tally);
    // Within nodes 40 / 1000 + 0.25; between them 80 / 100 + 0.5.
    double exchange = 1.3;
    assertEquals(exchange + 2 * 7e-3, layer.dispatch(), TOLERANCE);
    assertEquals(0.1 + 4e-3, layer.experts(), TOLERANCE);
    assertEquals(2 * exchange + 2 * 6e-3 + 2 * 9e-3 + 0.2 + 4 * 2e-3, layer.backward(), TOLERANCE);
  }

  @Test
  void shouldSumTheTrunkOverTheRing() {
    ClusterMap map =
        new ClusterMap(
            cluster(
                "simulate.cluster.nodes=1",
                "simulate.cluster.devices=4",
                "simulate.cluster.link_bandwidth=1000",
                "simulate.cluster.link_latency=0"),
            4,
            4,
            8);
    StepTimeModel model = new StepTimeModel(map, SPEEDS, 1, 40, 400, 0);
    assertEquals(100 * 1e-6 + 2 * 400 * 4 * 0.75 / 1000, model.rest().optimizer(), TOLERANCE);
  }

  @Test
  void shouldPlaceExpertsAsAsked() {
    ClusterMap contiguous = new ClusterMap(cluster("simulate.cluster.nodes=1"), 8, 4, 8);
    ClusterMap strided =
        new ClusterMap(
            cluster("simulate.cluster.nodes=1", "simulate.cluster.experts_on=strided"), 8, 4, 8);
    assertEquals(1, contiguous.deviceOfExpert(3));
    assertEquals(3, strided.deviceOfExpert(7));
    assertEquals(0, contiguous.deviceOfToken(1));
    assertEquals(3, contiguous.deviceOfToken(7));
  }

  @Test
  void shouldDrawTheLineThroughMeasuredTimes() {
    double[] line = LeastSquares.line(new double[] {10, 20, 40}, new double[] {0.7, 1.2, 2.2});
    assertEquals(0.2, line[0], 1e-9);
    assertEquals(0.05, line[1], 1e-9);
    double[] flat = LeastSquares.line(new double[] {1, 2}, new double[] {2, 1});
    assertEquals(0, flat[1]);
    double[] through = LeastSquares.line(new double[] {1, 2}, new double[] {1, 3});
    assertEquals(0, through[0]);
  }
}
