package troupe.coordinator.node;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import troupe.coordinator.launch.LaunchPlan;
import troupe.coordinator.launch.LocalCluster;
import troupe.core.tensor.Device;
import troupe.core.tensor.Devices;
import troupe.core.tensor.Staged;
import troupe.core.tensor.cuda.CudaDevices;

/**
 * Processes that each have a GPU, or all the same one, train the bits of one process. Where they
 * can, their GPUs copy rows from each other.
 */
@Tag("gpu")
@Timeout(400)
final class CudaClusterTest {
  private static final int STEPS = 40;
  private static final String PICKED_UP =
      "pickUp=Traffic\\[batchesSent=(\\d+), bytesSent=\\d+, batchesReceived=\\d+";

  @TempDir private Path folder;

  private ProcessRuns runs;

  @BeforeEach
  void needsAGpu() {
    assumeTrue(CudaDevices.mayBePresent(), "no NVIDIA GPU here");
    // One GPU each if there are several.
    runs = new ProcessRuns(folder, "device=cuda");
  }

  private static boolean canShare() {
    try (Device device = Devices.open("cuda:0")) {
      Staged staged = device.shelve(device.zeros(1, 64), device.fence(), true);
      if (staged != null) {
        staged.close();
      }
      return staged != null;
    }
  }

  private void train(String run, int nodes, String... overrides) throws Exception {
    List<String> all = new ArrayList<>(runs.overrides(run));
    all.addAll(List.of(overrides));
    try (LocalCluster cluster = runs.cluster(LaunchPlan.of(runs.config(STEPS), all, nodes))) {
      cluster.start();
      assertTrue(cluster.awaitEnd(ProcessRuns.END), runs.output()::toString);
      assertEquals(0, cluster.outcome(), runs.output()::toString);
    }
  }

  @Test
  void shouldTrainTheBitsOfOneProcessByPickingUp() throws Exception {
    train("picked-up", 3);
    assertEquals(runs.undisturbed(STEPS), runs.hash("picked-up", STEPS), runs.output()::toString);
    String logs = runs.logs("picked-up");
    if (canShare()) {
      assertTrue(ProcessRuns.sum(PICKED_UP, logs) > 10L * STEPS, logs);
    } else {
      assertEquals(0, ProcessRuns.sum(PICKED_UP, logs), logs);
    }
  }

  @Test
  void shouldTrainTheSameBitsByFrames() throws Exception {
    train("by-frames", 2, "transport.mode=ipc");
    assertEquals(runs.undisturbed(STEPS), runs.hash("by-frames", STEPS), runs.output()::toString);
    assertEquals(0, ProcessRuns.sum(PICKED_UP, runs.logs("by-frames")));
  }

  @Test
  void shouldTrainTheBitsOfOneProcessAlsoWhenAWorkerIsKilled() throws Exception {
    runs.trainAndKill("killed", STEPS);
    assertEquals(runs.undisturbed(STEPS), runs.hash("killed", STEPS), runs.output()::toString);
    if (canShare()) {
      assertTrue(ProcessRuns.sum(PICKED_UP, runs.logs("killed")) > 0);
    }
  }
}
