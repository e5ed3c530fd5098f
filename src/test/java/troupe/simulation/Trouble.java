package troupe.simulation;

import troupe.core.config.RunConfig;

/** What goes wrong with the nodes of a run; its text says what was planned. */
interface Trouble {
  /** Makes trouble for a run that is about to start. */
  @FunctionalInterface
  interface Maker {
    /** None. */
    Maker NONE = (config, cluster, run, loop) -> () -> {};

    /** The trouble of this run. */
    Trouble of(RunConfig config, SimulatedCluster cluster, HostedRun run, EventLoop loop);
  }

  /** Called after each event once training has begun. */
  void onEvent();
}
