package troupe.coordinator.host;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import troupe.coordinator.placement.NodeInfo;
import troupe.core.config.RunConfig;
import troupe.transport.Phase;

/**
 * What has arrived and was not confirmed yet, by sender: one message for each costs more than the
 * copies do. Copies of a step are confirmed when the last one of their sender is there, whatever
 * else when somebody {@linkplain #takeAll asks}.
 */
final class ReceiptBook {
  private final Map<Integer, Integer> copies = new HashMap<>();
  private final Map<Integer, Unsaid> unsaid = new HashMap<>();

  private static final class Unsaid {
    final List<Host.Arrived> arrived = new ArrayList<>();
    long step = -1;
    int copiesOfStep;

    void add(Host.Arrived receipt) {
      arrived.add(receipt);
      if (receipt.phase() == Phase.REPLICA) {
        copiesOfStep = receipt.step() == step ? copiesOfStep + 1 : 1;
        step = receipt.step();
      }
    }
  }

  /** The receipts of a node in an epoch. */
  ReceiptBook(EpochPlan plan, int node, RunConfig.Replicate config) {
    ReplicaRing ring = new ReplicaRing(plan, config);
    for (NodeInfo sender : plan.nodes()) {
      copies.put(
          sender.node(), new CopyRound(plan, sender.node(), ring, plan.step()).copiesTo(node));
    }
  }

  /** Notes an arrival; returns what to tell its sender now, or nothing. */
  List<Host.Arrived> add(int sender, Host.Arrived receipt) {
    Unsaid ofSender = unsaid.computeIfAbsent(sender, it -> new Unsaid());
    ofSender.add(receipt);
    if (receipt.phase() != Phase.REPLICA || ofSender.copiesOfStep < copies.get(sender)) {
      return List.of();
    }
    unsaid.remove(sender);
    return ofSender.arrived;
  }

  /** What to tell each sender of all that was not told yet. */
  Map<Integer, List<Host.Arrived>> takeAll() {
    Map<Integer, List<Host.Arrived>> all = new HashMap<>();
    unsaid.forEach((sender, ofSender) -> all.put(sender, ofSender.arrived));
    unsaid.clear();
    return all;
  }
}
