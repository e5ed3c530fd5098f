package troupe.coordinator.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import troupe.coordinator.RunTask;
import troupe.coordinator.events.Outcome;
import troupe.coordinator.host.Model;
import troupe.core.UserException;
import troupe.core.config.RunConfig;
import troupe.core.data.Batch;
import troupe.core.tensor.Device;
import troupe.core.tensor.Devices;
import troupe.core.tensor.Tensor;
import troupe.expert.Lost;
import troupe.expert.network.ExpertState;
import troupe.router.BatchSource;
import troupe.router.pass.DrawsSource;

/**
 * What a run does when routers throw, experts give up or numbers go wrong; and that it leaves
 * nothing behind.
 */
final class RecoveryTest {
  private static final class Injected extends RuntimeException {
    private static final long serialVersionUID = 1;

    Injected() {
      super("injected");
    }
  }

  /** Batches that throw where told to. */
  private record ThrowingBatches(BatchSource real, int step, int rank, int micro, Fuse fuse)
      implements BatchSource {
    @Override
    public Batch training(long atStep, int atRank, int atMicro) {
      if (atStep == step && atRank == rank && atMicro == micro) {
        fuse.burn();
      }
      return real.training(atStep, atRank, atMicro);
    }

    @Override
    public Batch validation(int index, int count) {
      return real.validation(index, count);
    }
  }

  /** Throws once, or every time. */
  private static final class Fuse {
    private final boolean once;
    private final RuntimeException failure;
    private final AtomicBoolean burnt = new AtomicBoolean();

    Fuse(boolean once) {
      this.once = once;
      this.failure = new Injected();
    }

    /** Throws this, every time. */
    Fuse(RuntimeException failure) {
      this.once = false;
      this.failure = failure;
    }

    void burn() {
      if (!burnt.getAndSet(true) || !once) {
        throw failure;
      }
    }
  }

  private record Trained(String hash, Runs.Heard heard) {}

  private static Trained train(RunConfig config, BatchSource batches, DrawsSource draws)
      throws Exception {
    try (Device device = Devices.open(config.device());
        Model model = new Model(device, config)) {
      long before = device.allocatedBytes();
      Runs.Heard heard =
          Runs.run(model, batches, draws, List.of(new RunTask.Train(config.train().steps())));
      if (heard.outcome.join() instanceof Outcome.Completed) {
        assertEquals(before, device.allocatedBytes(), "bytes left behind");
      }
      return new Trained(Shards.hash(model), heard);
    }
  }

  private static Trained undisturbed() throws Exception {
    RunConfig config = Runs.tiny();
    return train(config, Runs.randomBatches(config), Runs.draws(config));
  }

  @ParameterizedTest
  @CsvSource({
    "1, 0, 0, auto",
    "3, 1, 1, auto",
    "6, 0, 1, auto",
    "3, 1, 1, ipc",
  })
  void shouldSurviveARouterThatThrowsAtTheBeginOfAStep(int step, int rank, int micro, String mode)
      throws Exception {
    RunConfig config = Runs.tiny("transport.mode=" + mode);
    Trained disturbed =
        train(
            config,
            new ThrowingBatches(Runs.randomBatches(config), step, rank, micro, new Fuse(true)),
            Runs.draws(config));
    assertEquals(1, disturbed.heard().notices.size(), () -> "" + disturbed.heard().notices);
    assertTrue(disturbed.heard().notices.getFirst().startsWith("rank=" + rank + " restarted"));
    assertEquals(undisturbed().hash(), disturbed.hash());
  }

  @ParameterizedTest
  @CsvSource({
    "1, 0, 0, auto",
    "3, 1, 32, auto",
    "3, 1, 16, auto",
    "6, 1, 48, auto",
    "3, 1, 32, ipc"
  })
  void shouldSurviveARouterThatThrowsWhileExpertsWork(
      int step, int layer, long firstToken, String mode) throws Exception {
    RunConfig config = Runs.tiny("transport.mode=" + mode);
    Fuse fuse = new Fuse(true);
    DrawsSource draws =
        (s, l, first) -> {
          if (s == step && l == layer && first == firstToken) {
            fuse.burn();
          }
          return Runs.draws(config).draws(s, l, first);
        };
    Trained disturbed = train(config, Runs.randomBatches(config), draws);
    assertEquals(
        1,
        disturbed.heard().notices.stream().filter(line -> line.startsWith("rank=")).count(),
        () -> "" + disturbed.heard().notices);
    assertEquals(undisturbed().hash(), disturbed.hash());
  }

  @Test
  void shouldFailNamingTheRouterThatNeverRecovers() throws Exception {
    RunConfig config = Runs.tiny();
    Trained failed =
        train(
            config,
            new ThrowingBatches(Runs.randomBatches(config), 3, 1, 0, new Fuse(false)),
            Runs.draws(config));
    Outcome.Failed outcome = assertInstanceOf(Outcome.Failed.class, failed.heard().outcome.join());
    assertEquals(2, outcome.step());
    assertTrue(outcome.message().contains("rank=1"), outcome.message());
  }

  @Test
  void shouldFailNamingTheExpertThatThrowsTooOften() throws Exception {
    String faults =
        IntStream.rangeClosed(1, 6)
            .mapToObj(step -> "\"" + step + ":1/2:forward\"")
            .collect(Collectors.joining(",", "[", "]"));
    RunConfig config = Runs.tiny("faults.expert_throws=" + faults);
    Trained failed = train(config, Runs.randomBatches(config), Runs.draws(config));
    Outcome.Failed outcome = assertInstanceOf(Outcome.Failed.class, failed.heard().outcome.join());
    assertEquals(5, outcome.step());
    assertTrue(outcome.message().contains("expert-1-2"), outcome.message());
  }

  @ParameterizedTest
  @CsvSource({"0, 3", "1, 0", "1, 2"})
  void shouldFailNamingTheExpertWhoseNumbersAreNotFinite(int layer, int expert) throws Exception {
    RunConfig config = Runs.tiny();
    try (Device device = Devices.open(config.device());
        Model model = new Model(device, config)) {
      ExpertState bad = model.experts().get(layer * config.experts().count() + expert);
      Tensor w2 = bad.parameters().get(bad.prefix() + "w2");
      double[] values = w2.toDoubles();
      Arrays.fill(values, Double.NaN);
      w2.set(values);
      Runs.Heard heard = Runs.train(model);
      Outcome.Failed outcome = assertInstanceOf(Outcome.Failed.class, heard.outcome.join());
      assertTrue(outcome.message().contains("step 1"), outcome.message());
      assertTrue(
          outcome.message().contains("layer=" + layer + " expert=" + expert), outcome.message());
      assertTrue(outcome.hint().contains("learning_rate"), outcome.hint());
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "seed=7",
        "transport.mode=ipc",
        "transport.mode=udp",
        "gate.type=switch gate.jitter_on=input experts.capacity_factor=0.5",
        "model.layers=4 model.moe_every=2",
        "faults.expert_throws=[\"2:0/1:forward\",\"3:1/2:backward\",\"4:1/0:apply\"]",
        "transport.mode=ipc faults.expert_throws=[\"2:0/1:forward\",\"3:1/2:backward\"]"
      })
  void shouldGiveBackAllMemory(String overrides) throws Exception {
    RunConfig config = Runs.tiny(overrides.split(" "));
    try (Device device = Devices.open(config.device())) {
      try (Model model = new Model(device, config)) {
        long before = device.allocatedBytes();
        Runs.Heard heard =
            Runs.run(
                model,
                Runs.randomBatches(config),
                Runs.draws(config),
                List.of(
                    new RunTask.Train(config.train().steps()),
                    new RunTask.Evaluate(3),
                    new RunTask.Generate(
                        new int[] {1, 2}, 12, -1, new troupe.router.Sampling(1, 0, 5))));
        assertInstanceOf(Outcome.Completed.class, heard.outcome.join());
        assertEquals(before, device.allocatedBytes(), "bytes left behind by the run");
      }
      assertEquals(0, device.allocatedBytes(), "bytes left behind by the model");
    }
  }

  @Test
  void shouldLeaveNoThreadsBehind() throws Exception {
    RunConfig config = Runs.tiny("train.steps=1");
    RunConfig ipc = Runs.tiny("train.steps=1", "transport.mode=ipc");
    train(config, Runs.randomBatches(config), Runs.draws(config));
    train(ipc, Runs.randomBatches(config), Runs.draws(config));
    int before = Thread.getAllStackTraces().size();
    for (int i = 0; i < 25; i++) {
      train(config, Runs.randomBatches(config), Runs.draws(config));
    }
    for (int i = 0; i < 5; i++) {
      train(ipc, Runs.randomBatches(config), Runs.draws(config));
    }
    // Pools of a stopped system end a little after it: far fewer than one thread a run may be left.
    int after = Thread.getAllStackTraces().size();
    for (int i = 0; i < 100 && after > before; i++) {
      Thread.sleep(20);
      after = Thread.getAllStackTraces().size();
    }
    assertTrue(after <= before + 2, before + " threads before, " + after + " after 30 runs");
  }

  private static Outcome.Failed failing(RuntimeException failure) throws Exception {
    RunConfig config = Runs.tiny();
    Fuse fuse = new Fuse(failure);
    Trained failed =
        train(
            config,
            new ThrowingBatches(Runs.randomBatches(config), 3, 1, 0, fuse),
            Runs.draws(config));
    assertEquals(List.of(), failed.heard().notices);
    return assertInstanceOf(Outcome.Failed.class, failed.heard().outcome.join());
  }

  @Test
  void shouldEndAtOnceWithWhatTheUserHasToCorrect() throws Exception {
    UserException mistake = new UserException("cuda:0: out of memory", "a smaller train.batch");
    assertEquals(
        new Outcome.Failed(2, "cuda:0: out of memory", "a smaller train.batch", true),
        failing(mistake));
  }

  @Test
  void shouldEndAtOnceWhenADeviceIsLost() throws Exception {
    assertEquals(
        new Outcome.Failed(
            2,
            "router-1: fake:0: it hangs",
            "another one; resume=true goes on from the last checkpoint"),
        failing(new Lost()));
  }
}
