package troupe.coordinator.node;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import troupe.Eventually;
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
import troupe.core.config.ConfigLoader;
import troupe.core.config.RunConfig;
import troupe.core.data.Corpus;

/** Runs of a small model in processes of the real {@code node} verb, and what they leave. */
final class ProcessRuns {
  /** In that time a run completes. */
  static final Duration END = Duration.ofSeconds(200);

  private final Path folder;
  private final List<String> more;
  private final StringBuffer output = new StringBuffer();

  /**
   * No runs yet.
   *
   * @param folder for all that they write
   * @param more overrides of all of them
   */
  ProcessRuns(Path folder, String... more) {
    this.folder = folder;
    this.more = List.of(more);
  }

  /** What they have printed so far. */
  StringBuffer output() {
    return output;
  }

  Path config(int steps) throws IOException {
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

  List<String> overrides(String run) throws IOException {
    List<String> overrides = new ArrayList<>(more);
    overrides.add("data.path=" + Path.of("..", "README.md").toRealPath());
    overrides.add("run.dir=" + folder.resolve(run));
    return overrides;
  }

  String undisturbed(int steps) throws IOException {
    RunConfig run = ConfigLoader.load(config(steps), overrides("alone"));
    Files.createDirectories(folder.resolve("alone"));
    Outcome outcome = new TrainingSession(run, RunFolder.enter(run), new Silent()).run();
    assertEquals(new Outcome.Completed(steps), outcome);
    return hash("alone", steps);
  }

  String hash(String run, int steps) {
    try (TrainedRun trained = TrainedRun.open(folder.resolve(run))) {
      assertEquals(steps, trained.step());
      return trained.hash();
    }
  }

  /** Starts three processes and kills a worker in the midst; the others complete the run. */
  void trainAndKill(String run, int steps) throws Exception {
    LaunchPlan plan = LaunchPlan.of(config(steps), overrides(run), 3);
    try (LocalCluster cluster = cluster(plan)) {
      cluster.start();
      Eventually.await(output, () -> hasStep(run, 12));
      worker(cluster, run).kill();
      assertTrue(cluster.awaitEnd(END), output::toString);
      assertEquals(0, cluster.outcome(), output::toString);
    }
  }

  LocalCluster cluster(LaunchPlan plan) {
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

  List<Long> steps(String run) throws IOException {
    return Files.readAllLines(folder.resolve(run).resolve("metrics.jsonl")).stream()
        .filter(line -> line.startsWith("{\"step\":") && line.contains("\"loss\":"))
        .map(line -> Long.parseLong(line.replaceAll("\\{\"step\":(\\d+),.*", "$1")))
        .toList();
  }

  boolean hasStep(String run, long step) {
    try {
      return Files.exists(folder.resolve(run).resolve("metrics.jsonl"))
          && steps(run).contains(step);
    } catch (IOException e) {
      return false; // Being replaced: the next look sees it.
    }
  }

  String logs(String run) throws IOException {
    StringBuilder all = new StringBuilder();
    try (DirectoryStream<Path> files = Files.newDirectoryStream(folder.resolve(run), "*.log")) {
      for (Path file : files) {
        all.append(Files.readString(file));
      }
    }
    return all.toString();
  }

  static long sum(String counter, String logs) {
    return Pattern.compile(counter)
        .matcher(logs)
        .results()
        .mapToLong(found -> Long.parseLong(found.group(1)))
        .sum();
  }

  private ChildNode worker(LocalCluster cluster, String run) {
    String coordinator =
        NodesFile.read(folder.resolve(run).resolve(NodesFile.FILE_NAME))
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
