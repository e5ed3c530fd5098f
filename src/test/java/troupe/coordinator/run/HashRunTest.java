package troupe.coordinator.run;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import troupe.coordinator.events.Outcome;
import troupe.coordinator.host.EpochPlan;
import troupe.coordinator.host.Model;
import troupe.coordinator.metrics.StepMetrics;
import troupe.core.checkpoint.Checkpoints;
import troupe.core.config.RunConfig;
import troupe.core.data.ByteTokenizer;
import troupe.core.data.Corpus;
import troupe.core.data.TokenCounts;
import troupe.core.tensor.Device;
import troupe.core.tensor.Devices;
import troupe.router.gate.HashTable;
import troupe.router.trunk.RankState;

/**
 * The table of the gate that hashes is made of the text a run begins with, and then goes with its
 * checkpoints.
 */
final class HashRunTest {
  private static final String TABLE = "router.table";

  @TempDir private Path folder;

  private RunConfig config(String run, String... more) throws IOException {
    Path text = folder.resolve("text.txt");
    if (Files.notExists(text)) {
      Files.write(
          text,
          IntStream.range(0, 300).mapToObj(i -> "line " + i + ": " + i * i + " owls").toList());
    }
    String[] own = {
      "run.dir=\"" + folder.resolve(run) + "\"",
      "data.source=text",
      "data.path=\"" + text + "\"",
      "data.validation_fraction=0.2",
      "model.vocab=256",
      "gate.type=hash",
      "train.steps=4",
      "evaluate.every=2",
      "evaluate.batches=1",
      "generate.prompts=[\"line\"]",
      "generate.tokens=3",
      "checkpoint.every=0"
    };
    String[] all = Arrays.copyOf(own, own.length + more.length);
    System.arraycopy(more, 0, all, own.length, more.length);
    return Runs.tiny(all);
  }

  /** Stops the session once a step is committed. */
  private static final class Quiet implements TrainingSession.Observer {
    private final long last;
    private TrainingSession session;

    Quiet(long last) {
      this.last = last;
    }

    @Override
    public void opened(Corpus corpus) {}

    @Override
    public void placed(EpochPlan plan, String coordinator) {}

    @Override
    public void committed(StepMetrics metrics) {
      if (metrics.step() == last) {
        session.stop();
      }
    }

    @Override
    public void validated(long step, double loss) {}

    @Override
    public void generated(String generated) {}

    @Override
    public void notice(String line) {}
  }

  private static Outcome train(RunConfig config) throws IOException {
    return train(config, Long.MAX_VALUE);
  }

  private static Outcome train(RunConfig config, long stopAt) throws IOException {
    Files.createDirectories(Path.of(config.run().dir()));
    Quiet observer = new Quiet(stopAt);
    observer.session = new TrainingSession(config, RunFolder.enter(config), observer);
    return observer.session.run();
  }

  /** The table of every rank of the run's last checkpoint. */
  private static double[] saved(RunConfig config) {
    Path checkpoints = Path.of(config.run().dir()).resolve("checkpoints");
    try (Device device = Devices.open("cpu");
        Model model = new Model(device, config)) {
      RunFolder.load(Checkpoints.newestWhole(checkpoints).orElseThrow().checkpoint(), model);
      double[] first = model.ranks().getFirst().parameters().get(TABLE).toDoubles();
      for (RankState rank : model.ranks()) {
        assertArrayEquals(first, rank.parameters().get(TABLE).toDoubles());
      }
      return first;
    }
  }

  private static double[] table(RunConfig config) {
    try (Corpus corpus = Corpus.open(config.data(), new ByteTokenizer(), config.model().seq())) {
      int[] table_V = HashTable.of(config, TokenCounts.of(corpus.training()));
      return Arrays.stream(table_V).asDoubleStream().toArray();
    }
  }

  @Test
  void shouldSaveTheTableOfTheTextThatTheRunBeganWith() throws IOException {
    RunConfig config = config("run", "train.ranks=4");
    assertEquals(new Outcome.Completed(4), train(config));
    double[] table_V = table(config);
    assertArrayEquals(table_V, saved(config));
    int[] unknown_V = HashTable.of(config, TokenCounts.UNKNOWN);
    assertFalse(
        Arrays.equals(table_V, Arrays.stream(unknown_V).asDoubleStream().toArray()),
        "the text matters");
  }

  @Test
  void shouldKeepTheTableWhenResumedOnOtherText() throws IOException {
    RunConfig config = config("run", "train.steps=40");
    assertInstanceOf(Outcome.Stopped.class, train(config, 2));
    double[] before = saved(config);
    Files.write(
        folder.resolve("text.txt"),
        IntStream.range(0, 300).mapToObj(i -> "ZEBRA QUAGGA " + i).toList());
    RunConfig resumed = config("run", "train.steps=40", "run.resume=true");
    assertEquals(new Outcome.Completed(40), train(resumed));
    assertArrayEquals(before, saved(resumed));
    assertFalse(Arrays.equals(before, table(resumed)));
  }

  @Test
  void shouldBeginAlikeHoweverManyRanksThereAre() throws IOException {
    RunConfig one = config("one", "train.ranks=1", "gate.hash.table=random");
    RunConfig four = config("four", "train.ranks=4", "gate.hash.table=random");
    train(one);
    train(four);
    assertArrayEquals(saved(one), saved(four));
  }
}
