package troupe.coordinator.cluster;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.typesafe.config.Config;
import com.typesafe.config.ConfigFactory;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class StoodStillTest {
  private long nanos;
  private long wallMs = 1_000_000;
  private final List<Duration> pauses = new ArrayList<>();
  private final StoodStill watch =
      StoodStill.of(Duration.ofMillis(2500), () -> nanos, () -> wallMs, pauses::add);

  @Test
  void shouldBearShortPauses() {
    for (int i = 0; i < 10; i++) {
      pass(2499);
      assertFalse(watch.look());
    }
    assertEquals(List.of(), pauses);
  }

  @Test
  void shouldTellOfALongPauseOnce() {
    pass(100);
    assertFalse(watch.look());
    pass(20_000);
    assertTrue(watch.look());
    assertFalse(watch.look());
    assertEquals(List.of(Duration.ofSeconds(20)), pauses);
  }

  @Test
  void shouldNoticeASleepDuringWhichOneClockStops() {
    wallMs += 60_000;
    assertTrue(watch.look());
    nanos += 3_000_000_000L;
    assertTrue(watch.look());
    assertEquals(List.of(Duration.ofMinutes(1), Duration.ofSeconds(3)), pauses);
  }

  @Test
  void shouldNotMindAWallClockThatIsSetBack() {
    wallMs -= 60_000;
    assertFalse(watch.look());
    pass(100);
    assertFalse(watch.look());
  }

  @Test
  void shouldBeAsPatientAsTheFailureDetector() {
    Config detector =
        ConfigFactory.parseResources("cluster.conf").getConfig("akka.cluster.failure-detector");
    assertEquals(
        StoodStill.PATIENCE,
        detector
            .getDuration("heartbeat-interval")
            .plus(detector.getDuration("acceptable-heartbeat-pause")));
  }

  private void pass(long ms) {
    nanos += ms * 1_000_000;
    wallMs += ms;
  }
}
