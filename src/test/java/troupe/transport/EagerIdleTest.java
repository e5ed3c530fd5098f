package troupe.transport;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import org.agrona.concurrent.IdleStrategy;
import org.junit.jupiter.api.Test;

class EagerIdleTest {
  private static final long EAGER_NS = 1000;

  private final List<String> heard = new ArrayList<>();
  private long nowNs = 5;
  private final EagerIdle idle =
      new EagerIdle(
          EAGER_NS,
          new IdleStrategy() {
            @Override
            public void idle(int workCount) {
              heard.add("idle");
            }

            @Override
            public void idle() {
              heard.add("idle");
            }

            @Override
            public void reset() {
              heard.add("reset");
            }
          },
          () -> nowNs);

  @Test
  void shouldStayAwakeForSomeTimeAfterWork() {
    idle.idle(0);
    assertEquals(List.of("idle"), heard, "it has not worked yet");
    heard.clear();
    idle.idle(1);
    assertEquals(List.of("reset"), heard);
    nowNs += EAGER_NS - 1;
    idle.idle(0);
    idle.idle();
    assertEquals(List.of("reset"), heard);
    nowNs++;
    idle.idle(0);
    assertEquals(List.of("reset", "idle"), heard);
  }
}
