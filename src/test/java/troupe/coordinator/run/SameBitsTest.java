package troupe.coordinator.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import troupe.coordinator.events.Outcome;
import troupe.coordinator.host.Model;
import troupe.core.config.RunConfig;
import troupe.core.tensor.Device;
import troupe.core.tensor.Devices;

/**
 * The same config gives the same bits, however the batches travel and whatever happens on the way.
 */
final class SameBitsTest {
  private record Trained(String hash, Runs.Heard heard) {}

  private static Trained train(RunConfig config) throws Exception {
    try (Device device = Devices.open(config.device());
        Model model = new Model(device, config)) {
      Runs.Heard heard = Runs.train(model);
      assertInstanceOf(Outcome.Completed.class, heard.outcome.join());
      return new Trained(Shards.hash(model), heard);
    }
  }

  @Test
  void shouldRepeatARunBitForBit() throws Exception {
    assertEquals(train(Runs.tiny()).hash(), train(Runs.tiny()).hash());
  }

  @Test
  void shouldGiveOtherBitsForAnotherSeed() throws Exception {
    assertNotEquals(train(Runs.tiny()).hash(), train(Runs.tiny("seed=8")).hash());
  }

  @ParameterizedTest
  @ValueSource(strings = {"ipc", "udp"})
  void shouldNotDependOnTheWayBatchesTravel(String mode) throws Exception {
    assertEquals(train(Runs.tiny()).hash(), train(Runs.tiny("transport.mode=" + mode)).hash());
  }

  @ParameterizedTest
  @CsvSource({"auto, 2", "ipc, 3", "udp, 4"})
  void shouldNotDependOnTheWaySegmentsOfTheTrunkTravel(String mode, int ranks) throws Exception {
    String[] all = {"model.layers=4", "train.batch=24", "train.ranks=" + ranks, "train.steps=3"};
    String expected = trainAlone(Runs.wide(all));
    String[] travelling = Arrays.copyOf(all, all.length + 1);
    travelling[all.length] = "transport.mode=" + mode;
    assertEquals(expected, train(Runs.wide(travelling)).hash());
  }

  private static String trainAlone(RunConfig config) {
    try (Device device = Devices.open(config.device());
        Model model = new Model(device, config)) {
      new SingleProcess(model, Runs.randomBatches(config), Runs.draws(config))
          .train(config.train().steps());
      return Shards.hash(model);
    }
  }

  @ParameterizedTest
  @CsvSource({"2:0/1:forward, auto", "2:1/2:backward, udp", "3:1/0:apply, ipc"})
  void shouldSurviveAnExpertThatThrowsWhileSegmentsTravel(String fault, String mode)
      throws Exception {
    String[] all = {"transport.mode=" + mode, "faults.expert_throws=[\"" + fault + "\"]"};
    Trained disturbed = train(Runs.wide(all));
    assertEquals(1, disturbed.heard().notices.size(), "restarts told");
    assertEquals(train(Runs.wide()).hash(), disturbed.hash());
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 7})
  void shouldNotDependOnTheNumberOfThreads(int threads) throws Exception {
    assertEquals(train(Runs.tiny()).hash(), train(Runs.tiny("cluster.threads=" + threads)).hash());
  }

  @ParameterizedTest
  @CsvSource({
    "3:0/1:forward, auto",
    "3:1/2:backward, auto",
    "3:1/0:apply, auto",
    "1:0/0:forward, auto",
    "6:1/3:apply, auto",
    "3:0/1:forward, ipc",
    "3:1/2:backward, ipc",
    "4:0/3:apply, udp"
  })
  void shouldSurviveAnExpertThatThrows(String fault, String mode) throws Exception {
    Trained disturbed =
        train(Runs.tiny("transport.mode=" + mode, "faults.expert_throws=[\"" + fault + "\"]"));
    assertEquals(1, disturbed.heard().notices.size(), "restarts told");
    assertEquals(train(Runs.tiny()).hash(), disturbed.hash());
  }

  @Test
  void shouldSurviveSeveralExpertsThatThrowInTheSameStep() throws Exception {
    Trained disturbed =
        train(
            Runs.tiny(
                "faults.expert_throws=[\"2:0/0:forward\",\"2:0/1:backward\",\"2:1/0:apply\",\"2:1/0:forward\"]"));
    assertEquals(4, disturbed.heard().notices.size());
    assertEquals(train(Runs.tiny()).hash(), disturbed.hash());
  }
}
