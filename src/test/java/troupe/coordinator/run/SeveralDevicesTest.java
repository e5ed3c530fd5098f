package troupe.coordinator.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import troupe.coordinator.StepReport;
import troupe.coordinator.events.Outcome;
import troupe.coordinator.events.RunEvent;
import troupe.coordinator.host.Model;
import troupe.core.config.RunConfig;
import troupe.core.tensor.Device;
import troupe.core.tensor.DeviceGroup;
import troupe.core.tensor.Devices;
import troupe.expert.network.ExpertState;

/** Runs of one process whose owners are spread over several devices. */
final class SeveralDevicesTest {
  private record Trained(String hash, List<Double> losses) {}

  private record Run(Trained trained, List<RunEvent.ExpertMoved> moves, Set<Device> used) {}

  private static Run train(int count, RunConfig config) throws Exception {
    try (DeviceGroup devices =
        new DeviceGroup(
            Stream.generate(() -> Devices.open(config.device())).limit(count).toList())) {
      Run run;
      try (Model model = new Model(devices, config)) {
        Runs.Heard heard = Runs.train(model);
        assertInstanceOf(Outcome.Completed.class, heard.outcome.join());
        run =
            new Run(
                new Trained(
                    Shards.hash(model), heard.steps.stream().map(StepReport::loss).toList()),
                heard.moves,
                model.experts().stream().map(ExpertState::device).collect(Collectors.toSet()));
        assertTrue(devices.devices().containsAll(run.used));
      }
      devices.devices().forEach(device -> assertEquals(0, device.allocatedBytes()));
      return run;
    }
  }

  private static RunConfig tiny(String device, String... overrides) {
    return Runs.tiny(
        Stream.concat(
                Stream.of(
                    "device=" + device,
                    "train.steps=24",
                    "experts.count=8",
                    // Nothing makes the load even.
                    "gate.balance_coefficient=0",
                    "schedule.learning_rate=0.02"),
                Stream.of(overrides))
            .toArray(String[]::new));
  }

  private static RunConfig rebalanced(String device, String... overrides) {
    return tiny(
        device,
        Stream.concat(
                Stream.of(
                    "placement.rebalance=load",
                    "placement.max_imbalance=1.05",
                    "placement.patience_steps=3"),
                Stream.of(overrides))
            .toArray(String[]::new));
  }

  @Test
  void shouldGiveTheSameBitsOnTwoDevicesAsOnOne() throws Exception {
    Run two = train(2, tiny("cpu"));
    assertEquals(train(1, tiny("cpu")).trained, two.trained);
    assertEquals(2, two.used.size());
    assertEquals(List.of(), two.moves);
  }

  @Test
  void shouldMoveExpertsBetweenDevicesToTheSameBits() throws Exception {
    Run moved = train(2, rebalanced("cpu"));
    assertFalse(moved.moves.isEmpty());
    assertEquals(train(2, tiny("cpu")).trained, moved.trained);
    assertEquals(
        Set.of("local:0", "local:1"),
        moved.moves.stream()
            .flatMap(move -> Stream.of(move.from(), move.to()))
            .collect(Collectors.toSet()));
  }

  @Test
  void shouldMoveExpertsWhileOthersThrowToTheSameBits() throws Exception {
    String fault = "faults.expert_throws=[\"5:0/1:apply\", \"9:1/2:backward\"]";
    Run moved = train(2, rebalanced("reference", fault));
    assertFalse(moved.moves.isEmpty());
    assertEquals(train(1, tiny("reference")).trained, moved.trained);
  }

  @Test
  void shouldNotMoveAnythingWhereThereIsOneDevice() throws Exception {
    assertEquals(List.of(), train(1, rebalanced("cpu")).moves);
  }

  @Test
  void shouldNotMoveAnythingWhereLoadIsForcedToBeEven() throws Exception {
    assertEquals(List.of(), train(2, rebalanced("cpu", "gate.type=balanced")).moves);
  }
}
