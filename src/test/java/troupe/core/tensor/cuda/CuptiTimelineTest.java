package troupe.core.tensor.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import troupe.core.UserException;
import troupe.core.tensor.Device;
import troupe.core.tensor.Devices;
import troupe.core.tensor.Tensor;
import troupe.core.tensor.cuda.driver.FakeCupti;
import troupe.core.tensor.cuda.driver.GpuActivity;

class CuptiTimelineTest {
  private final FakeCupti cupti = new FakeCupti();

  private CuptiTimeline open() {
    return new CuptiTimeline(cupti.cupti(), List.of());
  }

  @Test
  void shouldReportWhatWasUnderWayBetweenBeginAndCut() {
    try (CuptiTimeline timeline = open()) {
      cupti.ran("warm-up", 0, 7, 10, 20);
      cupti.setNowNs(100);
      timeline.begin();
      cupti.ran("across", 0, 7, 90, 120);
      cupti.ran("step", 0, 7, 130, 180);
      cupti.ran("step", 1, 7, 140, 260);
      cupti.setNowNs(200);
      timeline.cut();
      cupti.ran("closing", 0, 7, 210, 220);
      GpuRecording recording = timeline.end();
      assertEquals(100, recording.fromNs());
      assertEquals(200, recording.toNs());
      assertEquals(Map.of("step", 170L), recording.nanosByName());
      assertEquals(Set.of(0, 1), recording.busyByGpu().keySet());
      assertEquals(70, recording.busyByGpu().get(0).busyNs());
      assertEquals(60, recording.busyByGpu().get(1).busyNs());
      assertEquals(3, recording.activities().size());
    }
    assertTrue(cupti.enabled().isEmpty());
  }

  @Test
  void shouldSayWhyItCannotProfile() {
    cupti.refuse(10, 35);
    UserException e = assertThrows(UserException.class, this::open);
    assertEquals("profile: cuptiActivityEnable: CUPTI_ERROR_35", e.getMessage());
    assertTrue(e.hint().contains("NVreg_RestrictProfilingToAdminUsers=0"), e.hint());
  }

  @Test
  void shouldStopWhenItIsClosedBeforeItEnds() {
    open().close();
    assertTrue(cupti.enabled().isEmpty());
  }

  @Tag("gpu")
  @Test
  void shouldRecordTheKernelsOfAGpu() {
    assumeTrue(CudaDevices.mayBePresent(), "no NVIDIA GPU here");
    try (Device device = Devices.open("cuda:0");
        CuptiTimeline timeline = CudaDevices.record(List.of(device), "");
        Tensor x = device.zeros(1000, 1000);
        Tensor y = device.zeros(1000, 1000)) {
      device.kernels().add(y, x);
      device.read(y).values();
      timeline.begin();
      long began = System.nanoTime();
      for (int i = 0; i < 100; i++) {
        device.kernels().add(y, x);
      }
      device.read(y).values();
      timeline.cut();
      long wallNs = System.nanoTime() - began;
      GpuRecording recording = timeline.end();
      assertEquals(0, recording.lost());
      Map<String, List<GpuActivity>> byName =
          recording.activities().stream()
              .sorted(Comparator.comparingLong(GpuActivity::startNs))
              .collect(Collectors.groupingBy(GpuActivity::name));
      assertEquals(100, byName.get("add_f32").size(), byName.keySet()::toString);
      List<GpuActivity> copies = byName.get("copy to host");
      assertEquals(4_000_000, copies.stream().mapToLong(GpuActivity::bytes).sum());
      assertTrue(copies.getFirst().startNs() >= byName.get("add_f32").getLast().endNs());
      BusyTime busy = recording.busyByGpu().get(0);
      assertTrue(busy.busyNs() > 0 && busy.busyNs() <= wallNs, busy + " in " + wallNs);
      assertEquals(wallNs, busy.spanNs(), 0.1 * wallNs + 1e6);
    }
  }
}
