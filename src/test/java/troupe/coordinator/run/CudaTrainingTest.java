package troupe.coordinator.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import troupe.coordinator.StepReport;
import troupe.coordinator.events.Outcome;
import troupe.coordinator.host.Model;
import troupe.core.UserException;
import troupe.core.config.RunConfig;
import troupe.core.tensor.Device;
import troupe.core.tensor.DeviceGroup;
import troupe.core.tensor.Devices;
import troupe.core.tensor.cuda.CudaDevices;

/** Whole steps through the real actors on a GPU. */
@Tag("gpu")
final class CudaTrainingTest {
  private record Trained(String hash, List<Double> losses) {}

  @BeforeEach
  void needsAGpu() {
    assumeTrue(CudaDevices.mayBePresent(), "no NVIDIA GPU here");
  }

  private static Trained train(RunConfig config) throws Exception {
    try (DeviceGroup devices = ModelDevice.open(config);
        Model model = new Model(devices, config)) {
      Runs.Heard heard = Runs.train(model);
      assertInstanceOf(Outcome.Completed.class, heard.outcome.join());
      return new Trained(Shards.hash(model), heard.steps.stream().map(StepReport::loss).toList());
    }
  }

  private static RunConfig tiny(String... overrides) {
    String[] all = new String[overrides.length + 1];
    all[0] = "device=\"cuda:0\"";
    System.arraycopy(overrides, 0, all, 1, overrides.length);
    return Runs.tiny(all);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "gate.type=sparsemixer",
        "gate.type=switch",
        "gate.type=xmoe",
        "experts.capacity_factor=1.0",
        "model.moe_every=2",
        "train.micro_batches=1"
      })
  void shouldRepeatARunBitForBit(String override) throws Exception {
    assertEquals(train(tiny(override)), train(tiny(override)));
  }

  @Test
  void shouldGiveTheSameBitsOnAllGpusAsOnOne() throws Exception {
    assertEquals(train(tiny()), train(tiny("device=cuda")));
  }

  @ParameterizedTest
  @ValueSource(strings = {"2:0/1:forward", "3:1/2:backward", "4:1/0:apply"})
  void shouldLeaveNoTraceOfAnExpertThatThrows(String fault) throws Exception {
    assertEquals(
        train(tiny()).hash(), train(tiny("faults.expert_throws=[\"" + fault + "\"]")).hash());
  }

  @ParameterizedTest
  @ValueSource(strings = {"ipc", "udp"})
  void shouldNotDependOnTheWayBatchesTravel(String mode) throws Exception {
    assertEquals(train(tiny()).hash(), train(tiny("transport.mode=" + mode)).hash());
  }

  @Test
  void shouldNotDependOnTheWaySegmentsOfTheTrunkTravel() throws Exception {
    RunConfig inProcess = Runs.wide("device=\"cuda:0\"");
    RunConfig byFrames = Runs.wide("device=\"cuda:0\"", "transport.mode=ipc");
    assertEquals(train(inProcess), train(byFrames));
  }

  @Test
  void shouldGiveTheSameBitsOnAllGpusThatSendEachOtherFrames() throws Exception {
    assertEquals(train(tiny()), train(tiny("device=cuda", "transport.mode=ipc")));
  }

  @Test
  void shouldStayCloseToTheReference() throws Exception {
    List<Double> exact = train(Runs.tiny("device=reference")).losses();
    List<Double> found = train(tiny()).losses();
    for (int step = 0; step < exact.size(); step++) {
      assertEquals(exact.get(step), found.get(step), 0.01 * exact.get(step), "step " + step);
    }
  }

  @Test
  void shouldSayWhoWantedHowMuchWhenMemoryIsUsedUp() {
    try (Device device = Devices.open("cuda:0")) {
      String message =
          assertThrows(UserException.class, () -> device.allocate(1 << 20, 1 << 20)).getMessage();
      assertTrue(
          message.startsWith("cuda:0: out of memory: 4096.00 GiB for 1048576 x 1048576 F32 of"),
          message);
      device.zeros(3, 3).close();
    }
  }
}
