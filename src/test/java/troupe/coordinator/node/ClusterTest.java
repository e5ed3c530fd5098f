package troupe.coordinator.node;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.ThreadLocalRandom;
import java.util.stream.LongStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import troupe.Eventually;
import troupe.coordinator.events.EventLog;
import troupe.coordinator.events.NodesFile;
import troupe.coordinator.launch.LaunchPlan;
import troupe.coordinator.launch.LocalCluster;
import troupe.coordinator.wire.MessageGun;
import troupe.transport.FrameGun;

/**
 * Three processes of the real {@code node} verb train the bits that one process trains, also when
 * one of them is killed. Every kind of fault: ClusterChaosTest.
 */
@Timeout(300)
final class ClusterTest {
  private static final int STEPS = 40;
  private static final int MANY_STEPS = 120;

  @TempDir private Path folder;

  private ProcessRuns runs;

  @BeforeEach
  void make() {
    runs = new ProcessRuns(folder);
  }

  @Test
  void shouldTrainTheBitsOfOneProcessAlsoWhenAWorkerIsKilled() throws Exception {
    runs.trainAndKill("killed", STEPS);
    assertEquals(runs.undisturbed(STEPS), runs.hash("killed", STEPS), runs.output()::toString);
    assertEquals(LongStream.rangeClosed(1, STEPS).boxed().toList(), runs.steps("killed"));
    String events = Files.readString(folder.resolve("killed").resolve(EventLog.FILE_NAME));
    assertTrue(events.contains("\"event\":\"removed\""), events);
    assertTrue(events.contains("\"event\":\"recovered\""), events);
  }

  @Test
  void shouldTrainTheBitsOfOneProcessUnderFire() throws Exception {
    long seed = Long.getLong("fuzz.seed", ThreadLocalRandom.current().nextLong());
    String replay = "-Dfuzz.seed=" + seed;
    LaunchPlan plan = LaunchPlan.of(runs.config(MANY_STEPS), runs.overrides("under-fire"), 2);
    int frames = 0;
    try (LocalCluster cluster = runs.cluster(plan);
        FrameGun frameGun = new FrameGun(seed);
        MessageGun messageGun = new MessageGun(seed)) {
      cluster.start();
      Eventually.await(runs.output(), () -> runs.hasStep("under-fire", 1));
      NodesFile nodes = NodesFile.read(folder.resolve("under-fire").resolve(NodesFile.FILE_NAME));
      for (NodesFile.Node node : nodes.nodes()) {
        messageGun.fire(node.address(), 5_000);
        for (int port : UdpPorts.of(node.pid())) {
          frames += frameGun.fire(port, node.node(), 5_000) ? 5_000 : 0;
        }
      }
      assertTrue(cluster.awaitEnd(ProcessRuns.END), runs.output()::toString);
      assertEquals(0, cluster.outcome(), () -> replay + "\n" + runs.output());
    }
    assertTrue(frames >= 10_000, () -> "both nodes listen; " + replay);
    assertEquals(
        runs.undisturbed(MANY_STEPS),
        runs.hash("under-fire", MANY_STEPS),
        () -> replay + "\n" + runs.output());
    String logs = runs.logs("under-fire");
    assertTrue(logs.contains("control message refused"), logs);
    assertTrue(ProcessRuns.sum("corruptFrames=(\\d+)", logs) > 0, logs);
    assertTrue(ProcessRuns.sum("foreignFrames=(\\d+)", logs) > 0, logs);
  }
}
