package troupe.coordinator.simulate;

import troupe.core.config.SimulateConfig.ExpertsOn;
import troupe.core.config.SimulateConfig.SimulatedCluster;

/**
 * Who lives where: experts and ranks on devices, devices on nodes, each an even share.
 *
 * @param experts of a layer; other layers are spread alike
 * @param ranks that share the tokens
 */
record ClusterMap(SimulatedCluster cluster, int experts, int ranks, long tokens) {
  /** Of all nodes. */
  int devices() {
    return cluster.allDevices();
  }

  /** The device of an expert. */
  int deviceOfExpert(int expert) {
    return cluster.expertsOn() == ExpertsOn.STRIDED
        ? expert % devices()
        : (int) ((long) expert * devices() / experts);
  }

  /** The device of the rank that has a token of the step. */
  int deviceOfToken(long token) {
    return (int) (token * ranks / tokens * devices() / ranks);
  }

  /** The node of a device. */
  int nodeOf(int device) {
    return device / cluster.devices();
  }

  /** Most experts of a layer on one device. */
  int mostExperts() {
    return Math.ceilDiv(experts, devices());
  }

  /** Most ranks on one device. */
  int mostRanks() {
    return Math.ceilDiv(ranks, devices());
  }
}
