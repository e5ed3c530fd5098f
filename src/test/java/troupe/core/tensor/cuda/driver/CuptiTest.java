package troupe.core.tensor.cuda.driver;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

class CuptiTest {
  private final FakeCupti fake = new FakeCupti();
  private final Cupti cupti = fake.cupti();
  private final List<String> heard = new ArrayList<>();

  private void hear(GpuActivity activity) {
    heard.add(activity.name() + " " + activity.startNs() + "-" + activity.endNs());
  }

  @Test
  void shouldDeliverWhatRan() {
    cupti.start(this::hear);
    assertEquals(Set.of(1, 2, 10, 22), fake.enabled());
    fake.ran("gate", 0, 7, 5, 8);
    fake.deliver();
    assertEquals(List.of("gate 5-8"), heard);
    fake.ran("route", 0, 7, 9, 9);
    assertEquals(0, cupti.stop());
    assertEquals(List.of("gate 5-8", "gate 5-8", "route 9-9"), heard);
    assertEquals(Set.of(), fake.enabled());
  }

  @Test
  void shouldCountWhatIsLost() {
    fake.drop(100);
    cupti.start(this::hear);
    fake.drop(3);
    fake.ran("without time", 0, 7, 0, 0);
    fake.ran("without end", 0, 7, 5, 0);
    assertEquals(5, cupti.stop());
    assertEquals(List.of(), heard);
  }

  @Test
  void shouldSurviveAReceiverThatThrows() {
    cupti.start(
        activity -> {
          throw new IllegalStateException("full");
        });
    fake.ran("gate", 0, 7, 5, 8);
    assertEquals(1, cupti.stop());
  }

  @Test
  void shouldGiveSoManyBuffersAtMost() {
    cupti.start(this::hear);
    assertEquals(64, fake.takeBuffers(70));
  }

  @Test
  void shouldRecordNothingWhereItMayNotRecordAll() {
    fake.refuse(22, 35);
    CudaException e = assertThrows(CudaException.class, () -> cupti.start(this::hear));
    assertEquals("cuptiActivityEnable: CUPTI_ERROR_35", e.getMessage());
    assertEquals(35, e.code());
    assertTrue(fake.enabled().isEmpty(), () -> fake.enabled().toString());
  }
}
