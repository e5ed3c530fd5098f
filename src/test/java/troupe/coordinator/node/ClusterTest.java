package troupe.coordinator.node;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import java.util.regex.Pattern;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import troupe.Eventually;
import troupe.coordinator.events.EventLog;
import troupe.coordinator.events.NodesFile;
import troupe.coordinator.events.Outcome;
import troupe.coordinator.launch.ChildNode;
import troupe.coordinator.launch.ClusterListener;
import troupe.coordinator.launch.Exit;
import troupe.coordinator.launch.JavaCommand;
import troupe.coordinator.launch.LaunchPlan;
import troupe.coordinator.launch.LocalCluster;
import troupe.coordinator.metrics.StepMetrics;
import troupe.coordinator.run.RunFolder;
import troupe.coordinator.run.TrainedRun;
import troupe.coordinator.run.TrainingSession;
import troupe.coordinator.wire.MessageGun;
import troupe.core.config.ConfigLoader;
import troupe.core.config.RunConfig;
import troupe.core.data.Corpus;
import troupe.transport.FrameGun;

/**
 * Three processes of the real {@code node} verb train the bits that one process trains, also when
 * one of them is killed. Every kind of fault: ClusterChaosTest.
 */
@Timeout(300)
final class ClusterTest {
  private static final int STEPS = 40;
  private static final int MANY_STEPS = 200;
  private static final Duration END = Duration.ofSeconds(200);

  @TempDir private Path folder;

  private final StringBuffer output = new StringBuffer();

  private Path config(int steps) throws IOException {
    return Files.writeString(
        folder.resolve("tiny.conf"),
        """
        model { d_model = 32, heads = 2, layers = 2, d_ff = 64, seq = 32 }
        experts.count = 5
        data { source = text, validation_fraction = 0.1 }
        train { batch = 6, ranks = 3, steps = %d, log_every = 10 }
        schedule.warmup_steps = 5
        evaluate.every = 0
        generate.prompts = []
        transport { term_bytes = 1048576, threads = 2 }
        """
            .formatted(steps));
  }

  private List<String> overrides(String run) throws IOException {
    return List.of(
        "data.path=" + Path.of("..", "README.md").toRealPath(), "run.dir=" + folder.resolve(run));
  }

  private String undisturbed(int steps) throws IOException {
    RunConfig run = ConfigLoader.load(config(steps), overrides("alone"));
    Files.createDirectories(folder.resolve("alone"));
    Outcome outcome = new TrainingSession(run, RunFolder.enter(run), new Silent()).run();
    assertEquals(new Outcome.Completed(steps), outcome);
    return hash("alone", steps);
  }

  private String hash(String run, int steps) {
    try (TrainedRun trained = TrainedRun.open(folder.resolve(run))) {
      assertEquals(steps, trained.step());
      return trained.hash();
    }
  }

  private LocalCluster cluster(LaunchPlan plan) {
    JavaCommand java =
        JavaCommand.ofThisJvm("troupe.coordinator.cli.Troupe").with(List.of("-Xmx512m"));
    return new LocalCluster(
        java,
        plan,
        new ClusterListener() {
          @Override
          public void line(ChildNode node, boolean isError, String line) {
            // In one piece, here and below: each pipe of each node has a thread of its own.
            output.append(node.name() + " | " + line + '\n');
          }

          @Override
          public void ended(ChildNode node, Exit exit) {
            output.append(node.name() + " ended: " + exit + '\n');
          }
        });
  }

  private List<Long> steps(String run) throws IOException {
    return Files.readAllLines(folder.resolve(run).resolve("metrics.jsonl")).stream()
        .filter(line -> line.startsWith("{\"step\":") && line.contains("\"loss\":"))
        .map(line -> Long.parseLong(line.replaceAll("\\{\"step\":(\\d+),.*", "$1")))
        .toList();
  }

  private boolean hasStep(String run, long step) {
    try {
      return Files.exists(folder.resolve(run).resolve("metrics.jsonl"))
          && steps(run).contains(step);
    } catch (IOException e) {
      return false; // Being replaced: the next look sees it.
    }
  }

  @Test
  void shouldTrainTheBitsOfOneProcessAlsoWhenAWorkerIsKilled() throws Exception {
    LaunchPlan plan = LaunchPlan.of(config(STEPS), overrides("killed"), 3);
    try (LocalCluster cluster = cluster(plan)) {
      cluster.start();
      Eventually.await(output, () -> hasStep("killed", 12));
      worker(cluster).kill();
      assertTrue(cluster.awaitEnd(END), output::toString);
      assertEquals(0, cluster.outcome(), output::toString);
    }
    assertEquals(undisturbed(STEPS), hash("killed", STEPS), output::toString);
    assertEquals(LongStream.rangeClosed(1, STEPS).boxed().toList(), steps("killed"));
    String events = Files.readString(folder.resolve("killed").resolve(EventLog.FILE_NAME));
    assertTrue(events.contains("\"event\":\"removed\""), events);
    assertTrue(events.contains("\"event\":\"recovered\""), events);
  }

  @Test
  void shouldTrainTheBitsOfOneProcessUnderFire() throws Exception {
    long seed = Long.getLong("fuzz.seed", ThreadLocalRandom.current().nextLong());
    String replay = "-Dfuzz.seed=" + seed;
    LaunchPlan plan = LaunchPlan.of(config(MANY_STEPS), overrides("under-fire"), 2);
    int frames = 0;
    try (LocalCluster cluster = cluster(plan);
        FrameGun frameGun = new FrameGun(seed);
        MessageGun messageGun = new MessageGun(seed)) {
      cluster.start();
      Eventually.await(output, () -> hasStep("under-fire", 1));
      NodesFile nodes = NodesFile.read(folder.resolve("under-fire").resolve(NodesFile.FILE_NAME));
      for (NodesFile.Node node : nodes.nodes()) {
        messageGun.fire(node.address(), 5_000);
        for (int port : UdpPorts.of(node.pid())) {
          frames += frameGun.fire(port, node.node(), 5_000) ? 5_000 : 0;
        }
      }
      assertTrue(cluster.awaitEnd(END), output::toString);
      assertEquals(0, cluster.outcome(), () -> replay + "\n" + output);
    }
    assertTrue(frames >= 10_000, () -> "both nodes listen; " + replay);
    assertEquals(
        undisturbed(MANY_STEPS), hash("under-fire", MANY_STEPS), () -> replay + "\n" + output);
    String logs = logs("under-fire");
    assertTrue(logs.contains("control message refused"), logs);
    assertTrue(sum("corruptFrames=(\\d+)", logs) > 0, logs);
    assertTrue(sum("foreignFrames=(\\d+)", logs) > 0, logs);
  }

  private String logs(String run) throws IOException {
    StringBuilder all = new StringBuilder();
    try (DirectoryStream<Path> files = Files.newDirectoryStream(folder.resolve(run), "*.log")) {
      for (Path file : files) {
        all.append(Files.readString(file));
      }
    }
    return all.toString();
  }

  private static long sum(String counter, String logs) {
    return Pattern.compile(counter)
        .matcher(logs)
        .results()
        .mapToLong(found -> Long.parseLong(found.group(1)))
        .sum();
  }

  private ChildNode worker(LocalCluster cluster) {
    String coordinator =
        NodesFile.read(folder.resolve("killed").resolve(NodesFile.FILE_NAME))
            .coordinator()
            .orElseThrow()
            .name();
    return cluster.nodes().stream()
        .filter(node -> !node.name().equals(coordinator))
        .findFirst()
        .orElseThrow();
  }

  /** Nobody watches. */
  private static final class Silent implements TrainingSession.Observer {
    @Override
    public void opened(Corpus corpus) {}

    @Override
    public void placed(troupe.coordinator.host.EpochPlan plan, String coordinator) {}

    @Override
    public void committed(StepMetrics metrics) {}

    @Override
    public void validated(long step, double loss) {}

    @Override
    public void generated(String text) {}

    @Override
    public void notice(String line) {}
  }
}
