package troupe.coordinator.simulate;

import java.util.Arrays;
import troupe.router.gate.DispatchPlan;
import troupe.router.gate.Ledger;
import troupe.router.gate.Routing;

/**
 * What became of the rows of one layer and step under one capacity. All numbers are counts: tallies
 * of groups add up to the same sums in any order, so results do not depend on threads.
 */
final class RowTally {
  private final ClusterMap map;
  private final int[] device_E;

  /** Rows that each expert got. */
  final long[] kept_E;

  /** Rows that each expert was asked for and had no room for, rerouted ones included. */
  final long[] overflow_E;

  /** Batches with at least one row that each expert got. */
  final long[] batches_E;

  /** Rows that leave and enter a device for another one of the same node. */
  final long[] out_D;

  final long[] in_D;

  /** Rows that leave and enter a node for another one. */
  final long[] out_N;

  final long[] in_N;

  /** Where the rows went. */
  Ledger ledger = new Ledger(0, 0, 0, 0);

  private long withinDevice;

  RowTally(ClusterMap map) {
    this.map = map;
    this.device_E = new int[map.experts()];
    Arrays.setAll(device_E, map::deviceOfExpert);
    this.kept_E = new long[map.experts()];
    this.overflow_E = new long[map.experts()];
    this.batches_E = new long[map.experts()];
    this.out_D = new long[map.devices()];
    this.in_D = new long[map.devices()];
    this.out_N = new long[map.cluster().nodes()];
    this.in_N = new long[map.cluster().nodes()];
  }

  /** Adds a group whose tokens begin at {@code firstToken} of the step. */
  void add(Routing routing, long firstToken) {
    ledger = ledger.plus(Ledger.of(routing));
    DispatchPlan plan = DispatchPlan.of(routing);
    for (int e = 0; e < kept_E.length; e++) {
      int rows = plan.rows(e);
      kept_E[e] += rows;
      batches_E[e] += rows > 0 ? 1 : 0;
      if (rows > 0 && map.devices() > 1) {
        addTraffic(plan, e, firstToken);
      }
    }
    withinDevice += map.devices() > 1 ? 0 : plan.rows();
    addOverflow(routing);
  }

  private void addTraffic(DispatchPlan plan, int expert, long firstToken) {
    int to = device_E[expert];
    int toNode = map.nodeOf(to);
    for (int row = plan.offset_E1()[expert]; row < plan.offset_E1()[expert + 1]; row++) {
      int from = map.deviceOfToken(firstToken + plan.tokenOfRow_R()[row]);
      int fromNode = map.nodeOf(from);
      if (from == to) {
        withinDevice++;
      } else if (fromNode == toNode) {
        out_D[from]++;
        in_D[to]++;
      } else {
        out_N[fromNode]++;
        in_N[toNode]++;
      }
    }
  }

  private void addOverflow(Routing routing) {
    int[] wanted_S = routing.wanted_S();
    int[] expert_S = routing.expert_S();
    for (int slot = 0; slot < wanted_S.length; slot++) {
      if (!routing.isPlaced(slot) || expert_S[slot] != wanted_S[slot]) {
        overflow_E[wanted_S[slot]]++;
      }
    }
  }

  /** Adds another tally of the same cluster. */
  void add(RowTally other) {
    ledger = ledger.plus(other.ledger);
    withinDevice += other.withinDevice;
    add(kept_E, other.kept_E);
    add(overflow_E, other.overflow_E);
    add(batches_E, other.batches_E);
    add(out_D, other.out_D);
    add(in_D, other.in_D);
    add(out_N, other.out_N);
    add(in_N, other.in_N);
  }

  private static void add(long[] sums, long[] others) {
    for (int i = 0; i < sums.length; i++) {
      sums[i] += others[i];
    }
  }

  /** Rows whose expert is on the device of their token. */
  long withinDevice() {
    return withinDevice;
  }

  /** Rows that go to another device of the node. */
  long withinNode() {
    return Arrays.stream(out_D).sum();
  }

  /** Rows that go to another node. */
  long betweenNodes() {
    return Arrays.stream(out_N).sum();
  }

  /** Most rows on one device. */
  long mostRows() {
    long[] rows_D = new long[map.devices()];
    for (int e = 0; e < kept_E.length; e++) {
      rows_D[device_E[e]] += kept_E[e];
    }
    return Arrays.stream(rows_D).max().orElse(0);
  }
}
