package troupe.simulation;

/** The process of one node is gone after so many events. */
final class Death implements Trouble {
  private static final long NOTICED_NS = 5_000_000_000L;
  private static final long HANDOVER_NS = 1_000_000_000L;

  private final SimulatedCluster cluster;
  private final HostedRun run;
  private final int node;
  private final long atEvent;
  private long events;

  Death(SimulatedCluster cluster, HostedRun run, int node, long atEvent) {
    this.cluster = cluster;
    this.run = run;
    this.node = node;
    this.atEvent = atEvent;
  }

  @Override
  public void onEvent() {
    if (++events == atEvent) {
      cluster.kill(node);
      run.giveUp(node, NOTICED_NS, HANDOVER_NS);
    }
  }

  @Override
  public String toString() {
    return "death of node " + node + " at event " + atEvent;
  }
}
